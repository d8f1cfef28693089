//! What services say about themselves: their binds, and the names of their connections.
#![no_main]

use karton_rs::{Bind, Filters, ServiceInfo, json::Map};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Some(info) = ServiceInfo::parse(text) {
        let name = info.to_name();
        assert_eq!(ServiceInfo::parse(&name).map(|info| info.to_name()).as_deref(), Some(&*name));
    }
    let Ok(bind) = Bind::from_json("karton.fuzz", text) else { return };
    let written = bind.to_json();
    let again = Bind::from_json("karton.fuzz", &written).expect("what was written can be read");
    assert_eq!(again.to_json(), written);
    if let Ok(filters) = Filters::compile(&bind.filters) {
        let _ = filters.matches(&Map::new());
    }
});
