//! The name of a field, taken apart at its dots. See MWDB search §S2.
//!
//! Pure. `\c` is the character c; stars at the end of an element that are not escaped are array markers.

/// `name**`: a name and how often the arrays below it are unwrapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) markers: usize,
}

/// The elements of a path, at least one.
pub(crate) fn elements(path: &str) -> Vec<Element> {
    let mut elements = Vec::new();
    let mut current = Element { name: String::new(), markers: 0 };
    let mut characters = path.chars();
    while let Some(character) = characters.next() {
        match character {
            '.' => elements.push(std::mem::replace(&mut current, Element { name: String::new(), markers: 0 })),
            // Counted until something else follows: then they were part of the name.
            '*' => current.markers += 1,
            other => {
                let stars = std::mem::take(&mut current.markers);
                current.name.extend(std::iter::repeat_n('*', stars));
                match other {
                    '\\' => current.name.extend(characters.next()),
                    other => current.name.push(other),
                }
            }
        }
    }
    elements.push(current);
    elements
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_split_at_bare_dots_and_lose_their_markers() {
        let cases: [(&str, &[(&str, usize)]); 9] = [
            ("tag", &[("tag", 0)]),
            ("cfg.a.b", &[("cfg", 0), ("a", 0), ("b", 0)]),
            (r"cfg.dot\.key", &[("cfg", 0), ("dot.key", 0)]),
            (r"cfg.array\*with\*stars\\\**", &[("cfg", 0), (r"array*with*stars\*", 1)]),
            (r"cfg.key\ x", &[("cfg", 0), ("key x", 0)]),
            ("cfg.a**", &[("cfg", 0), ("a", 2)]),
            ("cfg.*", &[("cfg", 0), ("", 1)]),
            ("cfg*.a*b", &[("cfg", 1), ("a*b", 0)]),
            ("a..b", &[("a", 0), ("", 0), ("b", 0)]),
        ];
        for (path, expected) in cases {
            let found = elements(path);
            let found: Vec<(&str, usize)> = found.iter().map(|element| (element.name.as_str(), element.markers)).collect();
            assert_eq!(found, expected, "{path}");
        }
    }
}
