//! Configuration: an INI file, then lines of environment after a line of dashes.
#![no_main]

use karton_rs::{Config, RedisSettings, S3Settings, ServiceSettings, system::SystemSettings};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (file, environment) = text.split_once("\n---\n").unwrap_or((text, ""));
    let environment = environment.lines().filter_map(|line| line.split_once('='));
    let environment: Vec<(String, String)> = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let Ok(config) = Config::from_parts(&[("karton.ini", file)], environment) else { return };
    let _ = (RedisSettings::from_config(&config), S3Settings::from_config(&config));
    let _ = (ServiceSettings::from_config(&config, "karton.fuzz"), SystemSettings::from_config(&config));
    for (section, options) in config.sections() {
        for (option, value) in options {
            assert_eq!(config.get(section, option), Some(&**value));
            let _ = (config.int(section, option), config.bool(section, option));
        }
    }
});
