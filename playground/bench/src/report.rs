//! The figures, and how they are printed.

use std::fmt::Write as _;

use serde_json::json;

/// Whose figure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Ours,
    Reference,
    Floor,
}

/// Which figures are good ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    Higher,
    Lower,
}

/// What is measured: the same thing of each of the three.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Figure {
    section: &'static str,
    what: String,
    unit: &'static str,
    better: Better,
}

impl Figure {
    pub(crate) fn new(section: &'static str, what: impl Into<String>, unit: &'static str, better: Better) -> Self {
        Self { section, what: what.into(), unit, better }
    }
}

/// All figures in the order in which they came.
#[derive(Default)]
pub(crate) struct Report(Vec<Row>);

struct Row {
    figure: Figure,
    ours: Vec<f64>,
    reference: Vec<f64>,
    floor: Vec<f64>,
}

impl Report {
    pub(crate) fn add(&mut self, figure: Figure, who: Who, value: f64) {
        let index = self.0.iter().position(|row| row.figure == figure).unwrap_or_else(|| {
            self.0.push(Row { figure, ours: Vec::new(), reference: Vec::new(), floor: Vec::new() });
            self.0.len() - 1
        });
        let row = &mut self.0[index];
        match who {
            Who::Ours => row.ours.push(value),
            Who::Reference => row.reference.push(value),
            Who::Floor => row.floor.push(value),
        }
    }

    pub(crate) fn json(&self) -> String {
        let rows = self.0.iter().map(|row| {
            json!({
                "section": row.figure.section, "what": row.figure.what, "unit": row.figure.unit,
                "ours": median(&row.ours), "reference": median(&row.reference), "floor": median(&row.floor),
                "ratio": row.ratio(), "of_floor": row.of_floor(),
            })
        });
        serde_json::Value::from(rows.collect::<Vec<_>>()).to_string()
    }

    pub(crate) fn table(&self) -> String {
        let mut out =
            format!("{:<58} {:>10} {:>12} {:>10} {:>8} {:>10} {:>9}\n", "", "", "ours", "reference", "ratio", "floor", "of floor");
        let mut section = "";
        for row in &self.0 {
            if row.figure.section != section {
                section = row.figure.section;
                let _ = writeln!(out, "{section}");
            }
            let number = |values: &[f64]| median(values).map_or_else(|| "-".to_owned(), readable);
            let _ = writeln!(
                out,
                "  {:<56} {:>10} {:>12} {:>10} {:>8} {:>10} {:>9}",
                row.figure.what,
                row.figure.unit,
                number(&row.ours),
                number(&row.reference),
                row.ratio().map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.1}x")),
                number(&row.floor),
                row.of_floor().map_or_else(|| "-".to_owned(), |part| format!("{:.0} %", part * 100.0)),
            );
        }
        out
    }
}

impl Row {
    /// How many times better ours is than the reference.
    fn ratio(&self) -> Option<f64> {
        let (ours, reference) = (median(&self.ours)?, median(&self.reference)?);
        match self.figure.better {
            Better::Higher => Some(ours / reference),
            Better::Lower => (ours > 0.0).then(|| reference / ours),
        }
    }

    fn of_floor(&self) -> Option<f64> {
        let (ours, floor) = (median(&self.ours)?, median(&self.floor)?);
        Some(if self.figure.better == Better::Higher { ours / floor } else { floor / ours })
    }
}

fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn readable(value: f64) -> String {
    if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_say_how_many_times_better_ours_is() {
        let mut report = Report::default();
        for (who, values) in [(Who::Ours, [30.0, 10.0, 20.0]), (Who::Reference, [5.0, 5.0, 1.0]), (Who::Floor, [40.0, 40.0, 90.0])] {
            for value in values {
                report.add(Figure::new("router", "speed", "tasks/s", Better::Higher), who, value);
                report.add(Figure::new("router", "memory", "MiB", Better::Lower), who, value);
            }
        }
        assert_eq!((report.0[0].ratio(), report.0[0].of_floor()), (Some(4.0), Some(0.5)));
        assert_eq!((report.0[1].ratio(), report.0[1].of_floor()), (Some(0.25), Some(2.0)));
        assert!(report.table().contains("4.0x"));
    }
}
