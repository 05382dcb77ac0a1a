//! [`Holding`]: the options for devices and types of weights.

use std::str::FromStr;

use anyhow::{Result, bail};
use clap::ValueEnum;
use slicegpt_device::DeviceName;

use crate::args::options::DtypeName;
use crate::args::running::Running;

/// The devices that models run on, and the type of their weights.
#[derive(clap::Args)]
#[command(next_help_heading = "Device")]
pub struct Holding {
    /// Device: cpu, wgpu[:i], vulkan[:i], metal[:i], cuda[:i], or auto, the best one of this
    /// machine (see `slicegpt devices`); with several, each model is measured on each
    #[arg(
        long = "device",
        value_name = "DEVICE,..",
        env = "SLICEGPT_DEVICE",
        default_value = "auto",
        value_delimiter = ',',
        value_parser = DeviceName::from_str
    )]
    pub devices: Vec<DeviceName>,
    /// Type of weights in memory [default: as stored on the CPU, float32 elsewhere]
    #[arg(long, value_enum, value_name = "TYPE")]
    pub weights: Option<DtypeName>,
}

impl Holding {
    /// One value per device.
    pub fn each(&self) -> Result<Vec<Self>> {
        let mut all: Vec<Self> = Vec::new();
        for device in &self.devices {
            if all.iter().any(|other| other.devices == [*device]) {
                bail!("--device: {device} is named twice; name each device once");
            }
            all.push(Self { devices: vec![*device], weights: self.weights });
        }
        Ok(all)
    }

    /// The value for the first device.
    pub fn running(&self) -> Running {
        Running::on(self.devices[0])
    }

    /// The options that a worker process gets.
    pub fn words(&self) -> Vec<String> {
        let devices: Vec<String> = self.devices.iter().map(DeviceName::to_string).collect();
        let mut words = vec!["--device".into(), devices.join(",")];
        if let Some(value) = self.weights.and_then(|weights| weights.to_possible_value()) {
            words.extend(["--weights".into(), value.get_name().into()]);
        }
        words
    }
}
