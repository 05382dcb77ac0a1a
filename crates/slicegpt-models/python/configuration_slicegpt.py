"""The configuration of a model that slicegpt has sliced.

The fields of the model it was made from stay as they are, `model_type` included: slicegpt reads them
back. What the sliced decoder is, in numbers and names, stands in `slicegpt["decoder"]`, and is all that
`modeling_slicegpt.py` looks at. Nothing here knows a model family.
"""

from transformers.configuration_utils import PretrainedConfig

KINDS = {False: "full_attention", True: "sliding_attention"}


class SliceGPTConfig(PretrainedConfig):
    model_type = "slicegpt"
    keys_to_ignore_at_inference = ["past_key_values"]
    has_no_defaults_at_init = True

    def __init__(self, slicegpt=None, base_model_type=None, **fields):
        self.slicegpt = slicegpt
        self.base_model_type = base_model_type
        fields.pop("model_type", None)
        if slicegpt is not None:
            decoder = slicegpt["decoder"]
            # What caches, masks and generation ask of any config.
            fields.update(
                vocab_size=decoder["vocab_size"],
                hidden_size=decoder["hidden_size"],
                num_hidden_layers=len(decoder["windowed"]),
                num_attention_heads=decoder["heads"],
                num_key_value_heads=decoder["kv_heads"],
                head_dim=decoder["head_dim"],
                max_position_embeddings=decoder["context_length"],
                sliding_window=decoder["window"],
                layer_types=[KINDS[windowed] for windowed in decoder["windowed"]],
                tie_word_embeddings=decoder["tied"],
            )
        # Frequencies are given as numbers. How the family says them is kept for slicegpt, out of the reach
        # of versions of transformers that would say it in another way.
        rope = {name: fields.pop(name) for name in list(fields) if name.startswith("rope_")}
        self.family_rope = fields.pop("family_rope", rope)
        super().__init__(**fields)

    @classmethod
    def get_config_dict(cls, *args, **kwargs):
        fields, rest = super().get_config_dict(*args, **kwargs)
        if fields.get("model_type") != cls.model_type:
            fields = dict(fields, base_model_type=fields.get("model_type"), model_type=cls.model_type)
        return fields, rest

    def to_dict(self):
        fields = super().to_dict()
        fields.update(fields.pop("family_rope", {}))
        base_model_type = fields.pop("base_model_type", None)
        if base_model_type is not None:
            fields["model_type"] = base_model_type
        return fields

    def to_diff_dict(self):
        # What is the default here need not be the family's.
        return dict(super().to_diff_dict(), tie_word_embeddings=self.tie_word_embeddings)
