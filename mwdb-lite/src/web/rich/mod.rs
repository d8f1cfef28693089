//! Values of attributes as the rich template of their key shows them: Mustache, then Markdown.
//!
//! The one rule: who wrote the template decides about form, the value is text. Each character carries
//! whether it was written in the template, and only those mean anything in Markdown or choose where a
//! link leads. So a value that a sample brought makes no link, no table and no markup.

mod markdown;
mod mustache;

use karton_rs::json::Value;

use super::view::rich::Rich;

/// A character, and whether the template has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Glyph {
    character: char,
    written: bool,
}

impl Glyph {
    /// Whether this is the mark that means something.
    fn is(self, mark: char) -> bool {
        self.written && self.character == mark
    }

    /// Whether the template has a blank here.
    fn is_blank(self) -> bool {
        self.written && matches!(self.character, ' ' | '\t' | '\r')
    }
}

/// How many characters a template may make of a value.
const LONGEST: usize = 64 * 1024;

/// The value of `key` as a template shows it.
///
/// # Errors
/// What is wrong with the template.
pub(super) fn render(template: &str, key: &str, value: &Value) -> Result<Rich, String> {
    Ok(markdown::parse(&mustache::expand(template, key, value)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn html(template: &str, value: &str) -> String {
        render(template, "key", &Value::parse(value).expect("JSON")).expect("a template").to_string()
    }

    #[test]
    fn a_template_gives_form_and_the_value_is_text() {
        assert_eq!(html("**{{value}}**", "\"a*b*\""), "<p><strong>a*b*</strong></p>");
        assert_eq!(
            html("{{{value}}}", "\"**a** [x](http://evil.test) | `c` <b>\\n# h\""),
            "<p>**a** [x](http://evil.test) | `c` &lt;b&gt;<br># h</p>"
        );
        assert_eq!(
            html(
                "|Host|Port|\n|-|-|\n{{#value}}\n|{{host}}|`{{port}}`|\n{{/value}}",
                r#"[{"host": "a|b", "port": 1}, {"host": "c", "port": 2}]"#
            ),
            "<table class=work><thead><tr><th scope=col>Host</th><th scope=col>Port</th></tr></thead><tbody><tr><td>a|b</td><td><code>1</code></td></tr>\
             <tr><td>c</td><td><code>2</code></td></tr></tbody></table>"
        );
    }

    #[test]
    fn the_list_of_the_help_has_all_items() {
        assert_eq!(html("{{#value}}\n- {{.}}\n{{/value}}", r#"["a", "b"]"#), "<ul><li>a</li><li>b</li></ul>");
    }

    #[test]
    fn a_link_leads_only_where_the_template_says() {
        let link = |template: &str, value: &str| html(template, value);
        assert!(link("[{{value}}](https://x.test/s?q={{value}})", "\"a/b&c\"").contains("href=\"https://x.test/s?q=a%2Fb%26c\""));
        assert!(link("[{{value}}](/file/{{value}})", "\"ab\"").contains("href=\"/file/ab\""));
        for (template, value) in [
            ("[x]({{value}})", "\"https://evil.test/\""),
            ("[x](https://{{value}}/)", "\"evil.test\""),
            ("[x](https://x.test{{value}})", "\".evil.test\""),
            ("[x](/{{value}})", "\"/evil.test\""),
            ("[x](javascript:alert({{value}}))", "1"),
            ("[x](//evil.test/{{value}})", "1"),
            ("[x](/\\\\evil.test/{{value}})", "1"),
        ] {
            let html = link(template, value);
            assert!(
                !html.contains("href=\"https://evil") && !html.contains("href=\"//") && !html.contains("href=\"/\\"),
                "{template}: {html}"
            );
            assert!(!html.contains("javascript:\"") && !html.contains("href=\"javascript"), "{template}: {html}");
        }
    }

    #[test]
    fn marks_of_values_stay_visible() {
        let html = html("{{value}}", "\"a\\u202eb\"");
        assert!(html.contains("<span class=ctl>U+202E</span>"), "{html}");
    }
}
