//! [`ReferenceSizes`]: the JSON file in which the reference implementation of SliceGPT keeps the
//! widths of its cuts.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::SizesError;

/// Widths by the number of the layer, as the reference implementation writes them.
#[derive(Debug, Default, Deserialize)]
pub struct ReferenceSizes {
    hidden_size: usize,
    layers_num: usize,
    #[serde(default)]
    do_slice_head: bool,
    #[serde(default)]
    parallel_blocks: bool,
    #[serde(default)]
    embedding_dimensions: BTreeMap<usize, usize>,
    #[serde(default)]
    attention_input_dimensions: BTreeMap<usize, usize>,
    #[serde(default)]
    attention_output_dimensions: BTreeMap<usize, usize>,
    #[serde(default)]
    mlp_input_dimensions: BTreeMap<usize, usize>,
    #[serde(default)]
    mlp_output_dimensions: BTreeMap<usize, usize>,
    #[serde(default)]
    head_dimension: Option<usize>,
    #[serde(default)]
    const_dimension: Option<usize>,
}

impl ReferenceSizes {
    /// Reads the text of the file.
    ///
    /// # Errors
    ///
    /// If it is not JSON, or a field is missing or has the wrong type.
    pub fn parse(text: &str) -> serde_json::Result<Self> {
        serde_json::from_str(text)
    }

    /// Checks that this file belongs to a decoder of `layers` blocks whose dense stream was
    /// `hidden_size` wide. `widths` are those of its tensors: of the embedding, then after every
    /// sublayer, of which each block has `sublayers`.
    ///
    /// # Errors
    ///
    /// The first field that does not match.
    pub fn check(
        &self,
        hidden_size: usize,
        layers: usize,
        sublayers: usize,
        widths: &[usize],
    ) -> Result<(), SizesError> {
        same("hidden_size", self.hidden_size, hidden_size)?;
        same("layers_num", self.layers_num, layers)?;
        same("parallel_blocks", self.parallel_blocks.into(), (sublayers == 1).into())?;
        if let Some(width) = self.const_dimension {
            let cut = &widths[..widths.len() - usize::from(!self.do_slice_head)];
            for found in cut {
                same("const_dimension", width, *found)?;
            }
        }
        let each = |field: &str, said: &BTreeMap<usize, usize>, first: usize| {
            said.iter().try_for_each(|(layer, width)| {
                let found = widths.get(layer * sublayers + first);
                same(&format!("{field}[{layer}]"), *width, found.copied().unwrap_or(0))
            })
        };
        // One entry for each table of the embedding; the tables are added.
        for (table, width) in &self.embedding_dimensions {
            same(&format!("embedding_dimensions[{table}]"), *width, widths[0])?;
        }
        each("attention_input_dimensions", &self.attention_input_dimensions, 0)?;
        each("attention_output_dimensions", &self.attention_output_dimensions, 1)?;
        each("mlp_input_dimensions", &self.mlp_input_dimensions, sublayers - 1)?;
        each("mlp_output_dimensions", &self.mlp_output_dimensions, sublayers)?;
        match self.head_dimension.zip(widths.last()) {
            Some((said, found)) if self.do_slice_head => same("head_dimension", said, *found),
            _ => Ok(()),
        }
    }
}

fn same(field: &str, said: usize, found: usize) -> Result<(), SizesError> {
    if said == found { Ok(()) } else { Err(SizesError { field: field.into(), said, found }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_by_layer_are_compared_one_by_one() {
        let sizes = ReferenceSizes::parse(
            r#"{"hidden_size": 8, "layers_num": 2, "do_slice_head": false,
                "parallel_blocks": false, "embedding_dimensions": {"0": 6, "1": 6},
                "attention_input_dimensions": {"0": 6, "1": 5},
                "attention_output_dimensions": {"0": 4, "1": 3},
                "mlp_input_dimensions": {"0": 4, "1": 3},
                "mlp_output_dimensions": {"0": 5, "1": 8}, "head_dimension": 8,
                "const_dimension": null}"#,
        )
        .unwrap();
        sizes.check(8, 2, 2, &[6, 4, 5, 3, 8]).unwrap();
        let says = |widths: &[usize]| sizes.check(8, 2, 2, widths).unwrap_err().to_string();
        assert!(
            says(&[5, 4, 5, 3, 8]).contains("`embedding_dimensions[0]` is 6, but the model has 5")
        );
        assert!(says(&[6, 4, 6, 3, 8]).contains("`attention_input_dimensions[1]`"));
        assert!(says(&[6, 4, 5, 3, 7]).contains("`mlp_output_dimensions[1]`"));
        assert!(sizes.check(9, 2, 2, &[6, 4, 5, 3, 8]).is_err());
        assert!(sizes.check(8, 2, 1, &[6, 4, 5]).is_err());
    }

    #[test]
    fn parallel_blocks_and_a_constant_width_are_understood() {
        let parallel = ReferenceSizes::parse(
            r#"{"hidden_size": 8, "layers_num": 2, "parallel_blocks": true,
                "embedding_dimensions": {"0": 6}, "attention_input_dimensions": {"0": 6, "1": 5},
                "attention_output_dimensions": {"0": 5, "1": 8},
                "mlp_input_dimensions": {"0": 6, "1": 5},
                "mlp_output_dimensions": {"0": 5, "1": 8}}"#,
        )
        .unwrap();
        parallel.check(8, 2, 1, &[6, 5, 8]).unwrap();
        let constant = r#"{"hidden_size": 8, "layers_num": 1, "const_dimension": 6}"#;
        let constant = ReferenceSizes::parse(constant).unwrap();
        constant.check(8, 1, 2, &[6, 6, 8]).unwrap();
        assert!(constant.check(8, 1, 2, &[6, 5, 8]).is_err());
    }
}
