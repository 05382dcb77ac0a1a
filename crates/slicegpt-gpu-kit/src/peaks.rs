//! Published peak rates of some GPUs, by the name that the driver reports.
//!
//! The rates are those of dense matrix products, without structured sparsity, and of the memory,
//! from the vendor's data sheets. If a sheet has only rates with sparsity, they are halved.

/// The rates in a data sheet, per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peak {
    /// Words that must all be in the name that the driver reports.
    pub name: &'static [&'static str],
    /// Operations in float32 without tensor cores.
    pub float32: f64,
    /// Operations in TF32 on tensor cores.
    pub tf32: f64,
    /// Operations in float16 or bfloat16 on tensor cores, sums in float32.
    pub half: f64,
    /// Bytes of memory read and written.
    pub bytes: f64,
    /// The data sheet.
    pub source: &'static str,
}

const T: f64 = 1e12;

/// The first match counts, so longer names come before the names they contain.
const PEAKS: &[Peak] = &[
    Peak {
        name: &["H100", "PCIe"],
        float32: 51.0 * T,
        tf32: 378.0 * T,
        half: 756.0 * T,
        bytes: 2.0 * T,
        source: "NVIDIA H100 Tensor Core GPU data sheet (PCIe)",
    },
    Peak {
        name: &["H100", "NVL"],
        float32: 60.0 * T,
        tf32: 417.5 * T,
        half: 835.5 * T,
        bytes: 3.9 * T,
        source: "NVIDIA H100 Tensor Core GPU data sheet (NVL)",
    },
    Peak {
        name: &["H100"],
        float32: 67.0 * T,
        tf32: 494.5 * T,
        half: 989.5 * T,
        bytes: 3.35 * T,
        source: "NVIDIA H100 Tensor Core GPU data sheet (SXM)",
    },
    Peak {
        name: &["H200"],
        float32: 67.0 * T,
        tf32: 494.5 * T,
        half: 989.5 * T,
        bytes: 4.8 * T,
        source: "NVIDIA H200 Tensor Core GPU data sheet (SXM)",
    },
    Peak {
        name: &["A100", "80GB"],
        float32: 19.5 * T,
        tf32: 156.0 * T,
        half: 312.0 * T,
        bytes: 2.0 * T,
        source: "NVIDIA A100 Tensor Core GPU data sheet (80 GB; 1.935 or 2.039 TB/s)",
    },
    Peak {
        name: &["A100"],
        float32: 19.5 * T,
        tf32: 156.0 * T,
        half: 312.0 * T,
        bytes: 1.555 * T,
        source: "NVIDIA A100 Tensor Core GPU data sheet (40 GB)",
    },
    Peak {
        name: &["L40S"],
        float32: 91.6 * T,
        tf32: 183.0 * T,
        half: 362.0 * T,
        bytes: 0.864 * T,
        source: "NVIDIA L40S data sheet",
    },
    Peak {
        name: &["L4"],
        float32: 30.3 * T,
        tf32: 60.0 * T,
        half: 121.0 * T,
        bytes: 0.3 * T,
        source: "NVIDIA L4 Tensor Core GPU data sheet",
    },
    Peak {
        name: &["RTX 4090"],
        float32: 82.6 * T,
        tf32: 82.6 * T,
        half: 165.2 * T,
        bytes: 1.008 * T,
        source: "NVIDIA Ada GPU architecture white paper, appendix A (GeForce RTX 4090)",
    },
    Peak {
        name: &["RTX 3090"],
        float32: 35.6 * T,
        tf32: 35.6 * T,
        half: 71.0 * T,
        bytes: 0.936 * T,
        source: "NVIDIA GA102 GPU architecture white paper, appendix A (GeForce RTX 3090)",
    },
    Peak {
        name: &["Tesla T4"],
        float32: 8.1 * T,
        tf32: 8.1 * T,
        half: 65.0 * T,
        bytes: 0.32 * T,
        source: "NVIDIA T4 data sheet (no TF32: as float32)",
    },
];

/// The published rates of the device whose driver reports the name `model`.
pub fn peak(model: &str) -> Option<&'static Peak> {
    let words = format!(" {} ", model.replace('-', " "));
    let has = |part: &&str| words.contains(&format!(" {part} "));
    // Laptop chips have the names of larger desktop chips.
    PEAKS.iter().find(|peak| peak.name.iter().all(has) && !has(&"Laptop"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_known_by_the_names_of_their_drivers() {
        for (model, bytes) in [
            ("NVIDIA H100 80GB HBM3", Some(3.35 * T)),
            ("NVIDIA H100 PCIe", Some(2.0 * T)),
            ("NVIDIA H200", Some(4.8 * T)),
            ("NVIDIA A100-SXM4-80GB", Some(2.0 * T)),
            ("NVIDIA A100-SXM4-40GB", Some(1.555 * T)),
            ("NVIDIA L4", Some(0.3 * T)),
            ("NVIDIA L40", None),
            ("NVIDIA L40S", Some(0.864 * T)),
            ("NVIDIA GeForce RTX 4090", Some(1.008 * T)),
            ("NVIDIA GeForce RTX 4090 Laptop GPU", None),
            ("llvmpipe (LLVM 15.0.6, 256 bits)", None),
        ] {
            assert_eq!(peak(model).map(|peak| peak.bytes), bytes, "{model}");
        }
    }
}
