//! File names, made safe. See MWDB API §O2.3.

use unicode_normalization::UnicodeNormalization;

/// A name of ASCII letters, digits and `_.-`; may be empty.
pub(crate) fn sanitise(name: &str) -> String {
    let ascii: String = name.nfkd().filter(char::is_ascii).map(|character| if character == '/' { ' ' } else { character }).collect();
    let joined = ascii.split_ascii_whitespace().collect::<Vec<_>>().join("_");
    let kept: String =
        joined.chars().filter(|character| character.is_ascii_alphanumeric() || matches!(character, '_' | '.' | '-')).collect();
    kept.trim_matches(['.', '_']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::sanitise;

    #[test]
    fn names_keep_what_is_harmless() {
        assert_eq!(sanitise("../../x y/ą b?.bin"), "x_y_a_b.bin");
        assert_eq!(sanitise("naïve file.exe"), "naive_file.exe");
        assert_eq!(sanitise("..\u{0}/"), "");
        assert_eq!(sanitise("施也"), "");
    }
}
