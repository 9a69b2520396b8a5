//! Shrinks a failing world to the few steps that the failure needs.

use crate::steps::Step;
use std::fmt::{Display, Formatter, Result};
use std::str::FromStr;

/// A step that is kept, by its place in the list that the seed gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    index: usize,
    /// Without what happens inside its calls.
    alone: bool,
}

impl Display for Kept {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}{}", self.index, if self.alone { "!" } else { "" })
    }
}

impl FromStr for Kept {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        let number = text.strip_suffix('!').unwrap_or(text);
        Ok(Kept { index: number.parse()?, alone: number.len() < text.len() })
    }
}

/// All of so many steps.
pub fn all(count: usize) -> Vec<Kept> {
    (0..count).map(|index| Kept { index, alone: false }).collect()
}

/// The steps that are kept.
pub fn chosen(steps: &[Step], kept: &[Kept]) -> Vec<Step> {
    let choose = |kept: &Kept| {
        let mut step = steps[kept.index].clone();
        step.between.take_if(|_| kept.alone);
        step
    };
    kept.iter().map(choose).collect()
}

/// Leaves steps out as long as what is left `fails`: a half, a quarter, at last each of them alone.
pub fn shrink(mut kept: Vec<Kept>, fails: impl Fn(&[Kept]) -> bool) -> Vec<Kept> {
    let mut size = kept.len().div_ceil(2);
    loop {
        let before = kept.len();
        let mut at = 0;
        while at < kept.len() {
            let end = (at + size).min(kept.len());
            let rest = [&kept[..at], &kept[end..]].concat();
            if fails(&rest) {
                kept = rest;
            } else {
                at = end;
            }
        }
        if size <= 1 && kept.len() == before {
            break;
        }
        size = size.div_ceil(2).max(1);
    }
    for at in 0..kept.len() {
        let mut simpler = kept.clone();
        simpler[at].alone = true;
        if fails(&simpler) {
            kept = simpler;
        }
    }
    kept
}

#[test]
fn shrinking_leaves_out_steps_that_are_not_needed() {
    let steps = |kept: &[Kept]| kept.iter().map(|kept| kept.index).collect::<Vec<_>>();
    for needed in [vec![], vec![0], vec![6, 7], vec![0, 17, 49], (10..20).collect()] {
        let fails = |kept: &[Kept]| needed.iter().all(|n| steps(kept).contains(n));
        let left = shrink(all(50), fails);
        assert_eq!(steps(&left), needed);
        assert!(left.iter().all(|kept| kept.alone));
    }
    let inner = |kept: &[Kept]| kept.iter().any(|kept| kept.index == 3 && !kept.alone);
    let left: Vec<String> = shrink(all(9), inner).iter().map(ToString::to_string).collect();
    assert_eq!(left, ["3"]);
    assert_eq!("12!".parse(), Ok(Kept { index: 12, alone: true }));
}
