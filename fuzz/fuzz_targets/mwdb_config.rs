//! Configuration of mwdb-lite: `mwdb.ini`, then lines of environment after a line of dashes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mwdb_lite::Config;

fuzz_target!(|text: &str| {
    let (file, environment) = text.split_once("\n---\n").unwrap_or((text, ""));
    for line in text.lines() {
        let _ = mwdb_lite::limits::parse(line);
    }
    let environment = environment.lines().filter_map(|line| line.split_once('='));
    let environment: Vec<(String, String)> = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let named = environment.iter().rfind(|(name, _)| name.strip_prefix("MWDB_").is_some_and(|key| key.to_lowercase() == "instance_name"));
    let named = named.map(|(_, name)| if name.is_empty() { "mwdb".to_owned() } else { name.clone() });
    match Config::from_parts(&[("mwdb.ini", file)], environment) {
        Ok(config) => {
            // The environment wins over the file.
            assert!(named.is_none_or(|name| name == config.instance_name));
            assert!(["get", "post", "put", "delete"].iter().all(|method| config.rate_limits.contains_key(*method)));
        }
        Err(error) => {
            let error = error.to_string();
            assert!(error.contains("mwdb.ini") || error.contains("variable `"), "{error}");
        }
    }
});
