//! The table that a bench prints: each figure, its peer of the same run, the ratio, the bar.

/// What a figure has to be.
#[derive(Clone, Copy)]
pub enum Bar {
    /// At most this, in the figure's own unit.
    AtMost(f64),
    /// At least this many times the peer.
    TimesPeer(f64),
    /// At most this many times the peer.
    AtMostTimesPeer(f64),
    /// The peer is at least this many times the figure.
    PeerTimes(f64),
    /// Only to know.
    None,
}

struct Row {
    cells: [String; 6],
}

/// Rows that become a table.
pub struct Table {
    rows: Vec<Row>,
    all_met: bool,
}

impl Table {
    pub fn new() -> Self {
        let cells = ["what", "measured", "peer", "ratio", "bar", ""].map(str::to_owned);
        Table { rows: vec![Row { cells }], all_met: true }
    }

    /// A figure on its own.
    pub fn figure(&mut self, what: &str, unit: &str, value: f64, bar: Bar) {
        self.row(what, unit, value, None, bar);
    }

    /// A figure beside the same figure of something else.
    pub fn beside(&mut self, what: &str, unit: &str, value: f64, peer: (&str, f64), bar: Bar) {
        self.row(what, unit, value, Some(peer), bar);
    }

    fn row(&mut self, what: &str, unit: &str, value: f64, peer: Option<(&str, f64)>, bar: Bar) {
        let other = peer.map_or(f64::NAN, |(_, other)| other);
        let (bar, ratio, met) = match bar {
            Bar::AtMost(most) => {
                (format!("<= {} {unit}", short(most)), value / other, value <= most)
            }
            Bar::TimesPeer(least) => {
                (format!(">= {} x", short(least)), value / other, value / other >= least)
            }
            Bar::AtMostTimesPeer(most) => {
                (format!("<= {} x", short(most)), value / other, value / other <= most)
            }
            Bar::PeerTimes(least) => {
                (format!("peer >= {} x", short(least)), other / value, other / value >= least)
            }
            Bar::None => (String::new(), value / other, true),
        };
        self.all_met &= met;
        let verdict = if bar.is_empty() {
            ""
        } else if met {
            "met"
        } else {
            "MISSED"
        };
        let peer = peer.map_or(String::new(), |(name, other)| format!("{name} {}", short(other)));
        let ratio = match ratio {
            ratio if !ratio.is_finite() => String::new(),
            ratio if ratio < 0.1 => format!("1/{:.0}", 1.0 / ratio),
            ratio => format!("{ratio:.2} x"),
        };
        let measured = format!("{} {unit}", short(value));
        self.rows
            .push(Row { cells: [what.to_owned(), measured, peer, ratio, bar, verdict.to_owned()] });
    }

    /// Prints it.
    pub fn print(&self, title: &str) {
        let mut widths = [0; 6];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(&row.cells) {
                *width = cell.chars().count().max(*width);
            }
        }
        let quick = if super::quick() { " (quick: no figures to quote)" } else { "" };
        println!("\n{title}{quick}");
        for row in &self.rows {
            let cells = row.cells.iter().zip(widths);
            let line: Vec<String> = cells.map(|(cell, width)| format!("{cell:<width$}")).collect();
            println!("  {}", line.join("  ").trim_end());
        }
        println!("  {}", if self.all_met { "every bar is met" } else { "a bar was MISSED" });
    }
}

/// Three significant digits.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
