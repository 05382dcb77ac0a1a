"""A decoder that slicegpt has sliced, for Hugging Face transformers 4.53 and later.

One decoder for all families: `config.slicegpt["decoder"]` says how wide the stream is at every cut, what
stands in a sublayer, and what the tensors are called. A sublayer is one residual update,

    x  <-  x S + sum of f(norm(x))

where `S` is the shortcut that carries the stream from one basis to the next (SliceGPT, arXiv 2401.15024,
section 3.3), and `norm` divides by the width before slicing.
"""

import inspect

import torch
from torch import nn
from transformers import __version__ as version
from transformers.activations import ACT2FN
from transformers.cache_utils import DynamicCache
from transformers.generation import GenerationMixin
from transformers.masking_utils import create_causal_mask, create_sliding_window_causal_mask
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS, PreTrainedModel
from transformers.utils import can_return_tuple

from .configuration_slicegpt import SliceGPTConfig

# What outputs call the cache: `past_key_values`, or `cache` in later versions of transformers.
CACHE = "cache" if "cache" in BaseModelOutputWithPast.__dataclass_fields__ else "past_key_values"


def attach(root, name, module):
    """Puts `module` under `root` by its dotted name, which is that of its tensors in the checkpoint."""
    *parents, last = name.split(".")
    for parent in parents:
        if not hasattr(root, parent):
            root.add_module(parent, nn.Module())
        root = getattr(root, parent)
    root.add_module(last, module)


def understood(function, **options):
    """Calls `function` with those options that this version of transformers has."""
    names = inspect.signature(function).parameters
    return function(**{name: value for name, value in options.items() if name in names})


class SliceGPTNorm(nn.Module):
    """`center(x) / rms(x)`, the mean square being over `hidden_size` values, however few there are left."""

    def __init__(self, hidden_size, eps, centers=False, width=None):
        super().__init__()
        self.hidden_size, self.eps, self.centers = hidden_size, eps, centers
        self.weight = None if width is None else nn.Parameter(torch.ones(width))

    def forward(self, x):
        dtype = x.dtype
        x = x.float()
        if self.centers:
            x = x - x.mean(-1, keepdim=True)
        mean_square = x.square().sum(-1, keepdim=True) / self.hidden_size
        x = x * torch.rsqrt(mean_square + self.eps)
        if self.weight is not None:
            x = x * self.weight.float()
        return x.to(dtype)


def rotary_tables(rotary, position_ids, dtype):
    """Cosine and sine of every position, `[batch, 1, tokens, rotary dim]`; the sign is in the sine."""
    frequencies = torch.tensor(rotary["frequencies"], device=position_ids.device)
    if "long" in rotary and int(position_ids.max()) >= rotary["beyond"]:
        frequencies = torch.tensor(rotary["long"], device=position_ids.device)
    if "dynamic" in rotary:
        # The base grows with the sequence once that is longer than the context.
        theta, factor, beyond = (rotary["dynamic"][name] for name in ("theta", "factor", "beyond"))
        length = max(int(position_ids.max()) + 1, beyond)
        dim = 2 * len(frequencies)
        theta = theta * (factor * length / beyond - (factor - 1)) ** (dim / (dim - 2))
        frequencies = theta ** (-torch.arange(0, dim, 2, device=position_ids.device).float() / dim)
    angles = position_ids[:, None, :, None].float() * frequencies.float()
    cos, sin = angles.cos() * rotary["attention_factor"], angles.sin() * rotary["attention_factor"]
    return torch.cat([cos, cos], -1).to(dtype), torch.cat([-sin, sin], -1).to(dtype)


def rotate(x, tables):
    """Rotates the first dimensions of each head, the two halves of which belong together."""
    cos, sin = tables
    turned, rest = x[..., : cos.shape[-1]], x[..., cos.shape[-1] :]
    first, second = turned.chunk(2, -1)
    turned = turned * cos + torch.cat([second, first], -1) * sin
    return torch.cat([turned, rest], -1)


def eager_attention(module, query, key, value, attention_mask, scaling, dropout=0.0, **kwargs):
    """`[batch, heads, tokens, head_dim]` to `[batch, tokens, heads, head_dim]`."""
    key, value = (x.repeat_interleave(module.num_key_value_groups, 1) for x in (key, value))
    scores = query @ key.transpose(2, 3) * scaling
    if attention_mask is not None:
        scores = scores + attention_mask[..., : key.shape[2]]
    weights = scores.softmax(-1, dtype=torch.float32).to(query.dtype)
    return (weights @ value).transpose(1, 2).contiguous(), weights


class SliceGPTAttention(nn.Module):
    """What queries take from the values they see. The projections beside it in the checkpoint stand under
    it; the block applies them."""

    def __init__(self, config, layer_idx):
        super().__init__()
        decoder = config.slicegpt["decoder"]
        self.config, self.layer_idx = config, layer_idx
        self.head_dim = decoder["head_dim"]
        self.num_key_value_groups = decoder["heads"] // decoder["kv_heads"]
        self.scaling = self.head_dim**-0.5
        self.is_causal = True
        self.sliding_window = decoder["window"] if decoder["windowed"][layer_idx] else None

    def forward(self, query, key, value, attention_mask, cache=None, **kwargs):
        if cache is not None:
            key, value = cache.update(key, value, self.layer_idx)
        attend = eager_attention
        if self.config._attn_implementation != "eager":
            attend = ALL_ATTENTION_FUNCTIONS[self.config._attn_implementation]
        options = dict(kwargs, sliding_window=self.sliding_window)
        mixed, weights = attend(
            self, query, key, value, attention_mask, dropout=0.0, scaling=self.scaling, **options
        )
        return mixed.reshape(*mixed.shape[:2], -1), weights


class SliceGPTBlock(GradientCheckpointingLayer):
    """The sublayers of a block. What it holds is called as the family calls it, so methods are not."""

    def __init__(self, config, layer_idx):
        super().__init__()
        decoder = config.slicegpt["decoder"]
        self.sublayers = decoder["sublayers"]
        self.head_dim = decoder["head_dim"]
        self.window = decoder["windowed"][layer_idx]
        self.activation = ACT2FN[decoder["activation"]]
        self.norm = SliceGPTNorm(
            decoder["hidden_size"], decoder["norm"]["eps"], decoder["norm"]["centers"]
        )
        ends = self.ends(decoder, layer_idx)
        # Under which module each part is found, and which of its rows.
        self.places = {}
        self.attention = None
        for part in decoder["parts"]:
            name, parts = part["name"], part["parts"]
            inputs, outputs = zip(*(ends[of] for of in parts))
            for index, of in enumerate(parts):
                self.places[of] = (name, index, outputs)
            if parts[0] == "query":
                self.attention, _, _ = name.rpartition(".")
                attach(self, self.attention, SliceGPTAttention(config, layer_idx))
            if parts[0].startswith("shortcut"):
                # As wide as the two bases it leads from and to; a bare parameter.
                self.register_parameter(name, nn.Parameter(torch.empty(inputs[0], outputs[0])))
            elif parts[0].endswith("norm"):
                eps = decoder["head_norm_eps"]
                attach(self, name, SliceGPTNorm(self.head_dim, eps, width=self.head_dim))
            else:
                attach(self, name, nn.Linear(inputs[0], sum(outputs), bias=part["bias"]))

    @staticmethod
    def ends(decoder, layer_idx):
        """Inputs and outputs of every part."""
        sublayers, head_dim = decoder["sublayers"], decoder["head_dim"]
        first = layer_idx * len(sublayers)
        widths = decoder["widths"][first : first + len(sublayers) + 1]
        inner = decoder["intermediate_sizes"][layer_idx]
        queries, keys = decoder["heads"] * head_dim, decoder["kv_heads"] * head_dim
        ends = {"query_norm": (head_dim, head_dim), "key_norm": (head_dim, head_dim)}
        for index, branches in enumerate(sublayers):
            width, after = widths[index : index + 2]
            ends[f"shortcut_{index}"] = (width, after)
            if "attention" in branches:
                ends |= {"query": (width, queries), "key": (width, keys), "value": (width, keys)}
                ends["output"] = (queries, after)
            if "mlp" in branches:
                ends |= {"gate": (width, inner), "up": (width, inner), "down": (inner, after)}
        return ends

    def _part(self, part, x):
        name, index, outputs = self.places[part]
        x = self.get_submodule(name)(x)
        return x if len(outputs) == 1 else x.split(outputs, -1)[index]

    def _mix(self, x, rotary, masks, cache, attentions, **kwargs):
        heads = (*x.shape[:2], -1, self.head_dim)
        query, key, value = (self._part(p, x).view(heads) for p in ("query", "key", "value"))
        if "query_norm" in self.places:
            query, key = self._part("query_norm", query), self._part("key_norm", key)
        query, key, value = (y.transpose(1, 2) for y in (query, key, value))
        if rotary is not None:
            query, key = rotate(query, rotary), rotate(key, rotary)
        attention = self.get_submodule(self.attention)
        mixed, weights = attention(query, key, value, masks[self.window], cache, **kwargs)
        if attentions is not None:
            attentions.append(weights)
        return self._part("output", mixed)

    def _feed(self, x):
        if "gate" in self.places:
            inner = self.activation(self._part("gate", x)) * self._part("up", x)
        else:
            inner = self.activation(self._part("up", x))
        return self._part("down", inner)

    def forward(self, stream, rotary=None, masks=None, cache=None, attentions=None, **kwargs):
        for index, branches in enumerate(self.sublayers):
            normed = self.norm(stream)
            shortcut = self.places.get(f"shortcut_{index}")
            if shortcut is not None:
                stream = stream @ self.get_parameter(shortcut[0])
            for branch in branches:
                if branch == "attention":
                    stream = stream + self._mix(normed, rotary, masks, cache, attentions, **kwargs)
                else:
                    stream = stream + self._feed(normed)
        return stream


class SliceGPTPreTrainedModel(PreTrainedModel):
    config_class = SliceGPTConfig
    base_model_prefix = "model"
    supports_gradient_checkpointing = True
    _no_split_modules = ["SliceGPTBlock"]
    _skip_keys_device_placement = ["past_key_values", "cache"]
    _supports_flash_attn = True
    _supports_sdpa = True
    _supports_flex_attn = True
    _supports_attention_backend = True

    @torch.no_grad()
    def _init_weights(self, module):
        super()._init_weights(module)
        if isinstance(module, SliceGPTBlock):
            for _, shortcut in module.named_parameters(recurse=False):
                if not getattr(shortcut, "_is_hf_initialized", False):
                    nn.init.eye_(shortcut)
        elif isinstance(module, SliceGPTNorm) and module.weight is not None:
            if not getattr(module.weight, "_is_hf_initialized", False):
                nn.init.ones_(module.weight)


class SliceGPTModel(SliceGPTPreTrainedModel):
    """Embedding, blocks and last norm."""

    def __init__(self, config):
        super().__init__(config)
        decoder = config.slicegpt["decoder"]
        names, widths = decoder["names"], decoder["widths"]
        self.decoder_config = decoder
        self.names = {name: self.inside(path) for name, path in names.items() if path}
        attach(self, self.names["embedding"], nn.Embedding(decoder["vocab_size"], widths[0]))
        if "positions" in self.names:
            rows = decoder["context_length"] + decoder["position_offset"]
            attach(self, self.names["positions"], nn.Embedding(rows, widths[0]))
        blocks = [SliceGPTBlock(config, index) for index in range(config.num_hidden_layers)]
        attach(self, self.names["blocks"], nn.ModuleList(blocks))
        norm = decoder["norm"]
        width = widths[-1] if norm["last_weight"] else None
        attach(
            self,
            self.names["norm"],
            SliceGPTNorm(decoder["hidden_size"], norm["eps"], norm["centers"], width),
        )
        self.post_init()

    def inside(self, name):
        """The name without that of this model inside the whole one."""
        return name.removeprefix(self.base_model_prefix + ".")

    def get_input_embeddings(self):
        return self.get_submodule(self.names["embedding"])

    def set_input_embeddings(self, value):
        attach(self, self.names["embedding"], value)

    @can_return_tuple
    def forward(
        self,
        input_ids=None,
        attention_mask=None,
        position_ids=None,
        past_key_values=None,
        inputs_embeds=None,
        use_cache=None,
        output_attentions=None,
        output_hidden_states=None,
        cache=None,
        **kwargs,
    ):
        decoder = self.decoder_config
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("give either input_ids or inputs_embeds")
        if inputs_embeds is None:
            inputs_embeds = self.get_input_embeddings()(input_ids)
        cache = past_key_values if cache is None else cache
        if use_cache is None:
            use_cache = getattr(self.config, "use_cache", True)
        if self.training and self.is_gradient_checkpointing:
            use_cache = False
        if use_cache and cache is None:
            cache = understood(DynamicCache, config=self.config)
        seen = 0 if cache is None else cache.get_seq_length()
        tokens = inputs_embeds.shape[1]
        cache_position = kwargs.pop("cache_position", None)
        if cache_position is None:
            cache_position = torch.arange(tokens, device=inputs_embeds.device) + seen
        learned = decoder["position_offset"] is not None
        if position_ids is None and learned and getattr(attention_mask, "ndim", 0) == 2:
            # Learned positions count the tokens that are kept.
            position_ids = (attention_mask.long().cumsum(-1) - 1).clamp(min=0)[:, -tokens:]
        if position_ids is None:
            position_ids = cache_position[None]
        masks = {
            windowed: understood(
                create_sliding_window_causal_mask if windowed else create_causal_mask,
                config=self.config,
                input_embeds=inputs_embeds,
                inputs_embeds=inputs_embeds,
                attention_mask=attention_mask,
                cache_position=cache_position,
                past_key_values=cache,
                cache=cache,
                position_ids=position_ids,
            )
            for windowed in set(decoder["windowed"])
        }
        stream, rotary = inputs_embeds, None
        if learned:
            positions = self.get_submodule(self.names["positions"])
            stream = stream + positions(position_ids + decoder["position_offset"])
        else:
            rotary = rotary_tables(decoder["rotary"], position_ids, stream.dtype)
        attentions = [] if output_attentions else None
        # One basis after another: a stream has the width of its cut.
        hidden_states = [stream] if output_hidden_states else None
        for block in self.get_submodule(self.names["blocks"]):
            stream = block(
                stream, rotary=rotary, masks=masks, cache=cache, attentions=attentions, **kwargs
            )
            if hidden_states is not None:
                hidden_states.append(stream)
        stream = self.get_submodule(self.names["norm"])(stream)
        if hidden_states is not None:
            hidden_states[-1] = stream
        return BaseModelOutputWithPast(
            last_hidden_state=stream,
            hidden_states=hidden_states and tuple(hidden_states),
            attentions=attentions and tuple(attentions),
            **{CACHE: cache},
        )


class SliceGPTForCausalLM(SliceGPTPreTrainedModel, GenerationMixin):
    """The whole model."""

    def __init__(self, config):
        super().__init__(config)
        decoder = config.slicegpt["decoder"]
        names = decoder["names"]
        self.model = SliceGPTModel(config)
        self.head = names["head"]
        head = nn.Linear(decoder["widths"][-1], decoder["vocab_size"], bias=decoder["head_bias"])
        attach(self, self.head, head)
        if decoder["tied"]:
            weight, table = f"{self.head}.weight", f"{names['embedding']}.weight"
            later = int(version.partition(".")[0]) >= 5
            self._tied_weights_keys = {weight: table} if later else [weight]
        self.post_init()

    def get_input_embeddings(self):
        return self.model.get_input_embeddings()

    def set_input_embeddings(self, value):
        self.model.set_input_embeddings(value)

    def get_output_embeddings(self):
        return self.get_submodule(self.head)

    def set_output_embeddings(self, value):
        attach(self, self.head, value)

    @can_return_tuple
    def forward(
        self,
        input_ids=None,
        attention_mask=None,
        position_ids=None,
        past_key_values=None,
        inputs_embeds=None,
        labels=None,
        use_cache=None,
        output_attentions=None,
        output_hidden_states=None,
        cache=None,
        logits_to_keep=0,
        **kwargs,
    ):
        outputs = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            cache=past_key_values if cache is None else cache,
            inputs_embeds=inputs_embeds,
            use_cache=use_cache,
            output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
            return_dict=True,
            **kwargs,
        )
        last = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.get_output_embeddings()(outputs.last_hidden_state[:, last])
        loss = None
        if labels is not None:
            loss = self.loss_function(
                logits=logits, labels=labels, vocab_size=self.config.vocab_size, **kwargs
            )
        return CausalLMOutputWithPast(
            loss=loss,
            logits=logits,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
            **{CACHE: outputs[CACHE] if CACHE in outputs else None},
        )
