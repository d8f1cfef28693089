//! Both engines against what Python answers, feature by feature.

use super::*;

fn search(pattern: &str, text: &str) -> bool {
    let pattern = Pattern::new(pattern, Flags::default()).unwrap_or_else(|error| panic!("{pattern}: {error}"));
    pattern.search(text, &Budget::new()).unwrap()
}

/// Holds the machine to the linear engine as well, where that takes part.
fn check(pattern: &str, hits: &[&str], misses: &[&str]) {
    let compiled = Pattern::new(pattern, Flags::default()).unwrap_or_else(|error| panic!("{pattern}: {error}"));
    for (texts, expected) in [(hits, true), (misses, false)] {
        for text in texts {
            assert_eq!(compiled.search(text, &Budget::new()), Ok(expected), "{pattern} on {text:?}");
            assert_eq!(machine::search(&compiled.program, text, &mut 1_000_000), Ok(expected), "machine: {pattern} on {text:?}");
        }
    }
}

fn refused(patterns: &[&str]) {
    for pattern in patterns {
        assert!(Pattern::new(pattern, Flags::default()).is_err(), "{pattern}");
    }
}

#[test]
fn anchors() {
    check("^win$", &["win", "win\n"], &["win\n\n", "awin", "win\nx"]);
    check(r"\Awin\Z", &["win"], &["win\n"]);
    check("(?m)^b$", &["a\nb\nc", "b"], &["ab"]);
    check("a$b|$", &["", "x"], &[]);
    check("(a$)|b", &["a\n", "b"], &["ac"]);
    check(r"x\b", &["x", "x-", "ax y"], &["xy", "x_", "x1", "xé"]);
    // Marks are no word characters in Python; the empty text has no inside.
    check("e\\b\u{301}", &["e\u{301}"], &[]);
    check(r"\B", &["ab", " "], &["", "a"]);
    check(r"(?a)\bé", &["aé"], &["é"]);
}

#[test]
fn classes_and_escapes() {
    check(r"^\w$", &["ł", "_", "²", "٣"], &["\u{301}", "-", "‿"]);
    check(r"^\d$", &["7", "٣"], &["²", "x"]);
    check(r"^\s$", &[" ", "\u{1f}", "\u{a0}", "\u{85}"], &["\u{200b}", "x"]);
    check(r"(?a)^[\w\s]$", &["a", " "], &["ł", "\u{a0}"]);
    check("^[[a]$", &["[", "a"], &["b"]);
    check("^[a&&b]$", &["a", "&", "b"], &["c"]);
    check("^[+--b]$", &["+", ",", "-", "b"], &["c", "."]);
    check("^[]-a]$", &["]", "^", "a"], &["-", "b"]);
    check("^[^]a]$", &["b"], &["]", "a"]);
    check(r"^[\b\-\]]$", &["\u{8}", "-", "]"], &["b"]);
    check(r"^[^\W\d]+$", &["ab_"], &["a1", "-"]);
    check(r"^\x41\u0142\U0001F600\101\0$", &["Ał😀A\0"], &["A"]);
    check(r"\ud800", &[], &["\u{fffd}", "x"]);
    check(r"^\ \é\_$", &[" é_"], &[]);
}

#[test]
fn groups_and_references() {
    check(r"^f?$|^(ff+?)\1+$", &["", "f", "ffff", "ffffff", "fffffffff"], &["ff", "fff", "fffffff"]);
    check("(?P<q>a|b)(?P=q)", &["aa", "bb"], &["ab"]);
    check(r"(a)|b\1", &["a"], &["b"]);
    check("^(a)?(?(1)b|c)$", &["ab", "c"], &["a", "b", "ac"]);
    check("^(?(2)a|b)(x)(y)$", &["bxy"], &["axy"]);
    check(r"(?i)^(k)\1$", &["kK", "K\u{212a}"], &["kx"]);
    check("(?>a+)ab|c", &["c"], &["aab"]);
    check("^(?:a|ab){2}+$", &["aa"], &["abab", "aba"]);
    check("^a{,2}b$", &["b", "aab"], &["aaab"]);
    check("^a{,}b{}{$", &["aaab{}{", "b{}{"], &["ab"]);
    check("^(?:a?){3}(?:a*)*$", &["", "aaaa"], &["b"]);
    check("^(?:a?)*?b$", &["b", "aab"], &["aa"]);
}

#[test]
fn looking_around() {
    check("x(?=y)|a(?!b)", &["xy", "ac", "a"], &["xz", "ab"]);
    check("(?<=ab|cd)e", &["abe", "cde"], &["be"]);
    check("(?<!a)b", &["b", "cb"], &["ab"]);
    check(r"(..)-(?<=\1-)", &["ab-"], &[]);
    // A lookahead is not gone back into.
    check(r"^(?=(a+))a*b\1$", &["aabaa"], &["aaba"]);
}

#[test]
fn case_follows_python() {
    check("(?i)^[s-t]k$", &["Sk", "ſ\u{212a}", "TK"], &["uk"]);
    check("(?i)^i$", &["I", "İ", "ı"], &["l"]);
    check("(?ai)^i$", &["I", "i"], &["İ", "ı"]);
    check("(?i)^[^s]$", &["t"], &["S", "ſ"]);
    check("(?i)ß", &["ẞ"], &["ss"]);
    check("(?i:a)b(?-i:c)", &["Abc"], &["ABc", "AbC"]);
}

#[test]
fn verbose_patterns() {
    check("(?x) a b # c\n c [ ] \\ ", &["abc  "], &["a bc  ", "abc"]);
    check("(?x:a b) c", &["ab c"], &["abc"]);
    check("(?x)a #\\\nb\nc", &["ac"], &["abc"]);
    check("(?#note)a(?#x)*b", &["aab"], &["a"]);
}

#[test]
fn what_python_refuses_is_refused() {
    refused(&["(", ")", "[a", "*a", "a**", "a*{2}", "^*", r"\b+", "(?P<q", "\\", "(?<=a+)b", r"\1", "(?z)a", "a{3,2}", "[z-a]"]);
    refused(&[
        "(?P<q>a)(?P<q>b)",
        r"\p{L}",
        r"\z",
        r"\q",
        r"[\q]",
        r"[\w-a]",
        "x(?i)y",
        "a|(?i)b",
        "(?i",
        "(?i-:a)",
        "(?i-i:a)",
        "(?-a:b)",
    ]);
    refused(&[
        "(?L)a",
        "(?au)a",
        "(?a)(?u)a",
        "(?-i)a",
        r"(a\1)",
        r"(?<=(a)\1)",
        r"(?<=(a)(?(1)b|c))",
        "(?(1)a)",
        "(a)(?(0)b)",
        "(a)(?(1)a|b|c)",
    ]);
    refused(&[
        "(?P=n)",
        "(?P<1>a)",
        "(?<n>a)",
        "(?",
        "(?P",
        "(?<a",
        r"\x4",
        r"\u12",
        r"\U00110000",
        r"\400",
        r"[\8]",
        r"\8",
        "a{4294967295}",
    ]);
    refused(&[&"(".repeat(10_000), &"a".repeat(MAX_PATTERN + 1)]);
}

#[test]
fn searches_that_never_end_are_given_up() {
    let text = "a".repeat(3_000);
    for pattern in [r"(a*)*\1b", "(?=(a|aa)+$)b", "(?:(?:){4000000000}){4000000000}(?=b)", "(?=a*a*a*a*b)"] {
        let compiled = Pattern::new(pattern, Flags::default()).unwrap();
        assert_eq!(compiled.search(&text, &Budget::new()), Err(StepLimit), "{pattern}");
    }
}

#[test]
fn plain_patterns_take_linear_time() {
    let text = "a".repeat(100_000);
    for pattern in ["(a*)*b", "(a|aa)+b", "^(a|a)*b$", "a*a*a*a*a*b", r"(\w+\s?)+:", "^(.*?,){11}P"] {
        assert!(Pattern::new(pattern, Flags::default()).unwrap().linear.is_some(), "{pattern}");
        assert!(!search(pattern, &text), "{pattern}");
    }
}
