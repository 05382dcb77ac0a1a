//! [`check`]: the names of Python objects that weights may contain.

use super::refusal::{Refusal, Result};

/// Refuses `module.name` unless weights may name it: tensors, functions that rebuild them, their
/// types and their storages.
pub(super) fn check(module: &str, name: &str) -> Result<()> {
    // A name with a dot is an attribute of an object, and leads anywhere.
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let good = match module {
        "collections" => name == "OrderedDict",
        "torch._utils" => name.starts_with("_rebuild_"),
        "torch._tensor" => name == "_rebuild_from_type_v2",
        "torch" | "torch.storage" => {
            name.ends_with("Storage")
                || ["Size", "Tensor", "device"].contains(&name)
                || is_type(name)
        }
        "torch.nn.parameter" => name == "Parameter",
        "torch.serialization" => name == "_get_layout",
        _ => false,
    };
    if good && plain { Ok(()) } else { Err(Refusal::Names(format!("{module}.{name}"))) }
}

/// Whether `name` is that of an element type, such as `float16`.
fn is_type(name: &str) -> bool {
    let digits = name.trim_start_matches(|c: char| c.is_ascii_lowercase());
    let kind = &name[..name.len() - digits.len()];
    ["float", "bfloat", "int", "uint", "bool", "complex"].contains(&kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_constructors_of_tensors_may_be_named() {
        for (module, name, good) in [
            ("torch._utils", "_rebuild_tensor_v2", true),
            ("torch._utils", "_rebuild_tensor_v2.__globals__", false),
            ("torch", "BFloat16Storage", true),
            ("torch", "float8_e4m3fn", true),
            ("torch", "load", false),
            ("torch", "hub.FloatStorage", false),
            ("posix", "system", false),
        ] {
            assert_eq!(check(module, name).is_ok(), good, "{module}.{name}");
        }
    }
}
