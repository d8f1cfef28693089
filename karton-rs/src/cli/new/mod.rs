//! `karton new NAME`: a service crate to start from.
//!
//! The one rule: what is written compiles and passes its test as it is; the template is part of this
//! crate's own tests.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use super::{Outcome, Usage, output::Out};

/// Name in the template, of crate and identity.
const PLACEHOLDER: &str = "example-service";

/// Keywords of Rust, those it keeps for later included, and names that cargo has a use for.
const RESERVED: &[&str] = &[
    "abstract",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "struct",
    "super",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
    "build",
    "core",
    "deps",
    "examples",
    "incremental",
    "std",
    "test",
];

/// What the new crate depends on: a crate of the same name could not.
const DEPENDENCIES: &[&str] = &["anyhow", "clap", "karton_rs", "serde_json", "tokio"];

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Name of the crate, and of its folder
    name: String,
    /// Identity of the service [default: `karton.` and the name, without a `karton-` at its start]
    #[arg(long)]
    identity: Option<String>,
    /// Version or path of karton-rs [default: the folder `karton-rs` here or above, else the version of this tool]
    #[arg(long, value_name = "VERSION|PATH")]
    karton_rs: Option<String>,
    /// Folder to put it in
    #[arg(long, default_value = ".")]
    path: PathBuf,
}

pub(super) fn run(args: Args) -> anyhow::Result<Outcome> {
    let name = args.name;
    if name.contains(['/', '\\']) {
        return Err(Usage(format!("`{name}` is a path: give the name alone, and the folder for it with `--path`")).into());
    }
    if !fits(&name) {
        let better = better(&name).map_or_else(String::new, |better| format!(", as `{better}`"));
        return Err(
            Usage(format!("`{name}` cannot be the name of a crate: use small letters, digits and dashes, a letter first{better}")).into()
        );
    }
    if DEPENDENCIES.contains(&name.replace('-', "_").as_str()) {
        return Err(Usage(format!("`{name}` cannot be the name of a crate that uses a library of this name; `karton-{name}` can")).into());
    }
    if RESERVED.contains(&name.as_str()) {
        return Err(Usage(format!("`{name}` cannot be the name of a crate: Rust and cargo use this word; `karton-{name}` can")).into());
    }
    let identity = args.identity.unwrap_or_else(|| format!("karton.{}", name.strip_prefix("karton-").unwrap_or(&name)));
    if !identity.chars().all(|c| matches!(c, '!'..='~') && !matches!(c, '?' | '"' | '\\')) || identity.is_empty() {
        return Err(Usage(format!("`{identity}` cannot be an identity: use ASCII without blanks, quotes and `?`")).into());
    }
    let folder = args.path.join(&name);
    let empty = || fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_none());
    ensure!(
        !folder.exists() || empty(),
        "{} exists already: take another name, or another folder with `--path`; the identity can be given with `--identity`",
        folder.display()
    );
    let (dependency, found) = dependency(args.karton_rs.as_deref(), &folder)?;
    let main = include_str!("template/main.rs").replace(&format!("karton.{PLACEHOLDER}"), &identity);
    let files = [
        ("Cargo.toml", manifest(&name, &dependency)),
        ("README.md", include_str!("template/README.md").replace(PLACEHOLDER, &name)),
        (".gitignore", "/target\n/karton.ini\n".to_owned()),
        ("src/main.rs", main),
        ("src/tests.rs", include_str!("template/tests.rs").to_owned()),
    ];
    fs::create_dir_all(folder.join("src")).with_context(|| folder.display().to_string())?;
    for (file, text) in files {
        let path = folder.join(file);
        fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    let mut out = Out::of_deeds();
    out.line(format!("Wrote {}: `cargo test` in it, then see its README.md", folder.display()))?;
    out.flush()?;
    if let Some(outer) = outer_workspace(&folder)? {
        note!(
            "It is a workspace of its own. Where `members` in {} takes it in, leave `[workspace]` out of {}.",
            outer.display(),
            folder.join("Cargo.toml").display()
        );
    }
    if !found {
        note!(
            "karton-rs {} is on no registry, and its folder was not found: give it with `--karton-rs PATH`, or write\n\
             `karton-rs = {{ path = \"PATH\" }}` into {}; the crate cannot be built without it.",
            env!("CARGO_PKG_VERSION"),
            folder.join("Cargo.toml").display()
        );
    }
    Ok(Outcome::Done)
}

fn fits(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_'))
}

/// A name that fits and resembles one that does not.
fn better(name: &str) -> Option<String> {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c.to_ascii_lowercase() } else { '-' };
    let name: String = name.chars().map(plain).collect();
    let name = name.trim_matches('-');
    let name = if name.starts_with(|c: char| c.is_ascii_lowercase()) { name.to_owned() } else { format!("karton-{name}") };
    (fits(&name) && !name.ends_with('-') && !RESERVED.contains(&name.as_str())).then_some(name)
}

/// The manifest of a workspace that the folder lies in.
fn outer_workspace(folder: &Path) -> std::io::Result<Option<PathBuf>> {
    let folder = std::path::absolute(folder)?;
    let is_workspace = |path: &PathBuf| fs::read_to_string(path).is_ok_and(|text| text.lines().any(|line| line.trim() == "[workspace]"));
    Ok(folder.ancestors().skip(1).map(|above| above.join("Cargo.toml")).find(is_workspace))
}

fn manifest(name: &str, dependency: &str) -> String {
    // A workspace of its own, wherever it is put.
    format!(
        r#"[package]
name = "{name}"
version = "0.1.0"
edition = "2024"
description = "Notes the size of each recognised sample"

[dependencies]
anyhow = "1"
clap = {{ version = "4", features = ["derive"] }}
karton-rs = {dependency}
serde_json = "1"

[workspace]
"#
    )
}

/// The right side of `karton-rs = …`, and whether it is one that was given or found.
fn dependency(given: Option<&str>, folder: &Path) -> anyhow::Result<(String, bool)> {
    let is_crate = |path: &Path| path.join("Cargo.toml").is_file() && path.file_name().is_some_and(|name| name == "karton-rs");
    let path = match given {
        Some(text) if text.starts_with(|c: char| c.is_ascii_digit()) => return Ok((format!("\"{text}\""), true)),
        Some(text) => {
            let path = PathBuf::from(text);
            if !path.join("Cargo.toml").is_file() {
                let shown = path.display();
                return Err(Usage(format!("--karton-rs: {shown} is neither a version nor the folder of a crate")).into());
            }
            path
        }
        None => {
            let parent = std::path::absolute(folder)?;
            match parent.ancestors().map(|above| above.join("karton-rs")).find(|path| is_crate(path)) {
                Some(path) => path,
                None => return Ok((format!("\"{}\"", env!("CARGO_PKG_VERSION")), false)),
            }
        }
    };
    let path = fs::canonicalize(&path).with_context(|| path.display().to_string())?;
    // A literal string takes anything but a quote.
    ensure!(!path.display().to_string().contains(['\'', '\n']), "--karton-rs: {} holds a quote", path.display());
    Ok((format!("{{ path = '{}' }}", path.display()), true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_cargo_takes() {
        for name in ["karton-strings", "a", "a_1", "fnord"] {
            assert!(fits(name) && !RESERVED.contains(&name), "{name}");
        }
        for name in ["kArTon2", "Karton", "1a", "-a", "", "a b", "ä", "fn", "type", "test"] {
            assert!(!fits(name) || RESERVED.contains(&name), "{name}");
        }
        for (name, better_one) in [("Test2", Some("test2")), ("my.service", Some("my-service")), ("2nd", Some("karton-2nd")), ("ä", None)]
        {
            assert_eq!(better(name).as_deref(), better_one, "{name}");
        }
    }
}
