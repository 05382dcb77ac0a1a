//! The rates that the device achieves, as fractions of its limits.

use super::figures::{cell, percent, rate, seconds};
use crate::{Line, Rate, Results};

fn measured(line: &Line) -> Option<&Rate> {
    match line {
        Line::Rate(rate) => Some(rate),
        _ => None,
    }
}

/// The fastest matrix product in a type, such as `float32`.
pub fn best_product<'a>(results: &'a Results, name: &str) -> Option<&'a Rate> {
    let all = results.lines().filter_map(measured);
    let products = all.filter(|it| it.group == "product" && it.name == name);
    products.max_by(|a, b| a.achieved.total_cmp(&b.achieved))
}

/// Tables of products, copies and transfers, and kernels.
pub fn rates(results: &Results) -> String {
    let all: Vec<_> = results.lines().filter_map(measured).collect();
    if all.is_empty() {
        return String::new();
    }
    let mut text = String::from("## Limits\n");
    let source = results.fact("published peaks").and_then(|peaks| peaks["source"].as_str());
    match source {
        Some(source) => text.push_str(&format!("\nPublished peaks: {source}.\n")),
        None => text.push_str("\nThe kit has no published peaks of this device.\n"),
    }
    if let Some(rounds) = results.fact("float32 products round operands") {
        let what = if rounds == &serde_json::Value::Bool(true) {
            "round their operands (TF32): the peak is that of TF32"
        } else {
            "do not round their operands"
        };
        text.push_str(&format!("Products in float32 {what}.\n"));
    }
    for (title, groups) in [
        ("Matrix products, copies, transfers", &["product", "copy", "transfer"][..]),
        ("Kernels, as fractions of the products and copies measured before", &["kernel"]),
    ] {
        let rows: Vec<_> = all.iter().filter(|it| groups.contains(&it.group.as_str())).collect();
        if rows.is_empty() {
            continue;
        }
        text.push_str(&format!(
            "\n### {title}\n\n| work | shape | time | achieved | limit | of the limit |\n\
             |---|---|---:|---:|---:|---:|\n"
        ));
        for row in rows {
            let limit = row.limit.map_or_else(|| "-".into(), |limit| rate(limit, &row.unit));
            text.push_str(&format!(
                "| {} | {} | {} | {} | {limit} | {} |\n",
                cell(&row.name),
                cell(&row.shape),
                seconds(row.seconds),
                rate(row.achieved, &row.unit),
                percent(row.fraction()),
            ));
        }
    }
    text.trim_end().to_owned()
}
