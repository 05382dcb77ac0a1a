//! Measures the peak rates of the device: matrix products in each type, copies on the device, and
//! transfers to it and back, as fractions of the rates in its data sheet.

use std::time::{Duration, Instant};

use anyhow::Result;
use burn::tensor::{DType, Device, Distribution, Tensor, TensorData};
use slicegpt_benches::Grade;

use super::context::{Context, Tested, attempt};
use crate::{Line, Log, Peak, Rate, peak};

/// Seconds; a product that takes longer is the largest one tried.
const LONG: f64 = 0.5;

/// Time for one measurement.
const PATIENCE: Duration = Duration::from_millis(600);

const FLOPS: &str = "FLOP/s";
const BYTES: &str = "B/s";

pub fn run(context: &Context, log: &mut Log<'_>) -> Result<()> {
    let tested = context.tested()?;
    let opened = context.open()?;
    let device = &opened.device;
    let published = peak(&tested.model);
    if let Some(peak) = published {
        let value = serde_json::json!({
            "source": peak.source, "float32": peak.float32, "tf32": peak.tf32, "half": peak.half,
            "bytes": peak.bytes,
        });
        log.put(&Line::Fact { name: "published peaks".into(), value })?;
    }
    let rounds = attempt(|| Ok(Grade::of(device).rounds_operands()));
    let rounds = rounds.unwrap_or(false);
    log.put(&Line::Fact { name: "float32 products round operands".into(), value: rounds.into() })?;
    let largest = if tested.software { 512 } else { 16_384 };
    let types = [
        ("float32", DType::F32, published.map(|it| if rounds { it.tf32 } else { it.float32 })),
        ("float16", DType::F16, published.map(|it| it.half)),
        ("bfloat16", DType::BF16, published.map(|it| it.half)),
        ("float64", DType::F64, None),
    ];
    for (name, dtype, limit) in types {
        if name != "float32" && !tested.computes_in(name) {
            log.skipped(name, format!("the device does not compute in {name}"))?;
            continue;
        }
        match attempt(|| Ok(products(device, dtype, largest, context))) {
            Ok(found) => {
                for (size, seconds) in found {
                    log.put(&product_rate(name, size, seconds, limit))?;
                }
            }
            Err(reason) => log.failed(&format!("products in {name}"), reason)?,
        }
    }
    match attempt(|| Ok(moves(device, &tested, published))) {
        Ok(rates) => rates.into_iter().try_for_each(|rate| log.put(&Line::Rate(rate))),
        Err(reason) => log.failed("copies and transfers", reason),
    }
}

fn product_rate(name: &str, size: usize, seconds: f64, limit: Option<f64>) -> Line {
    Line::Rate(Rate {
        group: "product".into(),
        name: name.into(),
        shape: format!("{size} x {size} x {size}"),
        achieved: 2.0 * (size as f64).powi(3) / seconds,
        unit: FLOPS.into(),
        limit,
        limit_is: "published".into(),
        seconds,
    })
}

/// Sizes of square products, with the seconds of each.
fn products(device: &Device, dtype: DType, largest: usize, context: &Context) -> Vec<(usize, f64)> {
    let mut found = Vec::new();
    for size in [512, 1024, 2048, 4096, 8192, 16_384] {
        if size > largest || context.deadline.left() < 4 * PATIENCE {
            break;
        }
        let random = || {
            let normal = Distribution::Normal(0.0, 1.0);
            Tensor::<2>::random([size, size], normal, (device, DType::F32)).cast(dtype)
        };
        let (a, b) = (random(), random());
        let seconds = least(|| settle(&a.clone().matmul(b.clone())));
        found.push((size, seconds));
        if seconds > LONG {
            break;
        }
    }
    found
}

/// The rates of copies on the device, and of transfers to it and back.
fn moves(device: &Device, tested: &Tested, published: Option<&Peak>) -> Vec<Rate> {
    let numbers: usize = if tested.software { 1 << 22 } else { 1 << 27 };
    let bytes = 4.0 * numbers as f64;
    let shape = format!("{:.0} MB", bytes / 1e6);
    let rate = |group: &str, name: &str, moved: f64, limit: Option<f64>, seconds: f64| Rate {
        group: group.into(),
        name: name.into(),
        shape: shape.clone(),
        achieved: moved / seconds,
        unit: BYTES.into(),
        limit,
        limit_is: "published".into(),
        seconds,
    };
    let x = Tensor::<1>::ones([numbers], (device, DType::F32));
    let scaled = least(|| settle(&x.clone().mul_scalar(2.0)));
    let limit = published.map(|peak| peak.bytes);
    let mut rates = vec![rate("copy", "one tensor read, one written", 2.0 * bytes, limit, scaled)];
    let host = TensorData::new(vec![1.0f32; numbers], [numbers]);
    let up = least(|| settle(&Tensor::<1>::from_data(host.clone(), (device, DType::F32))));
    // Each transfer clones the data; that time is subtracted.
    let clone = least(|| drop(std::hint::black_box(host.clone())));
    rates.push(rate("transfer", "host to device", bytes, None, (up - clone).max(up / 2.0)));
    // Each read is of a tensor that the host has not read yet, and every page of it is touched; the
    // time to compute it is subtracted.
    let read = |x: Tensor<1>| {
        let data = x.into_data();
        let pages = data.as_slice::<f32>().into_iter().flatten().step_by(1024);
        std::hint::black_box(pages.sum::<f32>());
    };
    let down = least(|| read(x.clone().mul_scalar(2.0)));
    rates.push(rate("transfer", "device to host", bytes, None, (down - scaled).max(down / 2.0)));
    rates
}

/// Waits until a tensor is computed: until the device is idle and one number was read.
fn settle<const D: usize>(tensor: &Tensor<D>) {
    if let Err(error) = tensor.device().sync() {
        panic!("execution error: ExecutionError: {error:?}");
    }
    let first = tensor.clone().slice(std::array::from_fn::<_, D, _>(|_| 0..1));
    let _ = first.into_data();
}

/// The minimum seconds of at least three runs after a warm-up.
fn least(mut work: impl FnMut()) -> f64 {
    work();
    let began = Instant::now();
    let (mut runs, mut least) = (0, f64::INFINITY);
    while runs < 3 || (runs < 50 && began.elapsed() < PATIENCE) {
        let start = Instant::now();
        work();
        least = start.elapsed().as_secs_f64().min(least);
        runs += 1;
    }
    least
}
