//! docs/config-keys.md says of every key that transformers knows what happens with it.

use std::collections::BTreeMap;

#[test]
fn the_page_has_every_key() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let read = |path: &str| std::fs::read_to_string(format!("{root}/{path}")).unwrap();
    let page = read("docs/config-keys.md");
    let (config, generation) = page.split_once("## generation_config.json").unwrap();
    let keys: BTreeMap<String, Vec<String>> =
        serde_json::from_str(&read("fixtures/config_keys.json")).unwrap();
    assert_eq!(keys.len(), 8);
    for (family, keys) in keys {
        let part = if family == "generation" { generation } else { config };
        for key in keys {
            let row = part.lines().any(|line| {
                let first = line.split('|').nth(1).unwrap_or_default();
                first.split(',').any(|name| name.trim() == format!("`{key}`"))
            });
            assert!(row, "{family}: `{key}` has no row");
        }
    }
}
