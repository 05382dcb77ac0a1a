//! Options for the device and the batch size.

use std::str::FromStr;

use anyhow::Result;
use clap::Args;
use slicegpt_device::DeviceName;

use crate::args::options::positive;
use crate::services::device::{BatchSize, Target};
use crate::show::progress::note;
use crate::show::size::parse_bytes;

/// The device and the batch size.
#[derive(Args, Clone)]
#[command(next_help_heading = "Device")]
pub struct Running {
    /// Device: cpu, wgpu[:i], vulkan[:i], metal[:i], cuda[:i], or auto, the best one of this
    /// machine (see `slicegpt devices`)
    #[arg(
        long,
        value_name = "DEVICE",
        env = "SLICEGPT_DEVICE",
        default_value = "auto",
        value_parser = DeviceName::from_str
    )]
    device: DeviceName,
    /// Sequences run at a time, or auto: as many as fit
    #[arg(long, value_name = "N|auto", default_value = "auto")]
    batch_size: BatchSize,
    /// Memory of the device that --batch-size auto may use [default: four fifths of all]
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    device_memory: Option<u64>,
}

impl FromStr for BatchSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            _ => positive(text).map(Self::Fixed).map_err(|why| format!("{why}, or auto")),
        }
    }
}

impl Running {
    /// On `device`, as much at a time as fits.
    pub fn on(device: DeviceName) -> Self {
        Self { device, batch_size: BatchSize::Auto, device_memory: None }
    }

    /// The batch size that is asked for; `None`: what suits the device.
    pub fn batch_size(&self) -> Option<usize> {
        match self.batch_size {
            BatchSize::Auto => None,
            BatchSize::Fixed(size) => Some(size),
        }
    }

    /// Opens the device.
    pub fn open(&self) -> Result<Target> {
        let opened = slicegpt_device::open(self.device)?;
        if self.device == DeviceName::Auto {
            note(format!("device: {} ({})", opened.info.name, opened.info.model));
        }
        Ok(Target::new(opened, self.batch_size, self.device_memory))
    }
}
