//! Principal directions of a covariance, which are always computed on the host. It knows
//! nothing about blocks.

use std::cell::OnceCell;
use std::rc::Rc;

use burn::tensor::Device;
use slicegpt_calibrate::{Arithmetic, Covariance, Orientation, principal};

use crate::subject::signal;
use crate::{Kernel, Outcome, Work, work};

/// Three quarters of the directions are kept, as at a sparsity of 25 %.
pub fn kernel(device: &Device, tokens: usize, width: usize) -> Kernel {
    let rank = width * 3 / 4;
    let device = device.clone();
    let input = Rc::new(OnceCell::new());
    Kernel {
        group: "eigen",
        name: "",
        shape: format!("{width}, {rank} kept"),
        work: Work::host(work::eigen(width, width)),
        // The signs of eigenvectors are arbitrary, so eigenvalues are compared.
        tolerance: 1e-9,
        unavailable: None,
        prepare: Box::new(move || {
            let input = input.clone();
            input.get_or_init(|| {
                let mut covariance = Covariance::new(width, Arithmetic::of(&device));
                covariance.add(signal(1, tokens, width, &device), None);
                covariance
            });
            Box::new(move || {
                let covariance = input.get().expect("it was just made");
                let found = principal(covariance, rank, &mut Orientation::Pca);
                let (basis, spectrum) = found.expect("a finite signal");
                Box::new(move || {
                    assert_eq!(basis.rank(), rank);
                    Outcome::of(spectrum.eigenvalues)
                })
            })
        }),
    }
}
