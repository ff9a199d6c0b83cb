//! An expert's record told apart: where one buffer cannot have the records of a layer, each of several has a share of the rows of every
//! expert. So a launch on each makes its outputs, whichever experts were chosen, in the order of summation that one has.

use std::borrow::Cow;
use std::ops::Range;

use crate::format::Format;
use crate::weights::{ExpertLayout, Group, shares};

/// Most shares: each is two launches a layer.
const MOST: usize = 64;

/// What each of several records has of an expert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Where things are in it.
    pub layout: ExpertLayout,
    /// Gates and ups that it has, by number.
    pub ups: Range<usize>,
    /// Rows of down.
    pub downs: Range<usize>,
}

impl ExpertLayout {
    /// Shares of the records of a group's experts, so few that a pool of `slots` of each has no more than `binding` bytes; one that does, if
    /// none are so small.
    pub(crate) fn shares(&self, group: &Group, slots: usize, binding: u64) -> Vec<Share> {
        let sizes @ [width, hidden] = [group.width, group.hidden];
        let share = |ups: Range<usize>, downs: Range<usize>| {
            let rows = [ups.len(), downs.len()];
            let layout = ExpertLayout::of(self.up_format, self.down_format, rows, sizes, group.biased);
            Share { layout, ups, downs }
        };
        let made = |parts: usize| -> Vec<Share> {
            let (mut ups, mut downs) = (shares(width, parts), shares(hidden, parts));
            // One of the two may have fewer, as parts are whole grains: the last shares then have none of it.
            let next = || match (ups.next(), downs.next()) {
                (None, None) => None,
                (up, down) => Some(share(up.unwrap_or(width..width), down.unwrap_or(hidden..hidden))),
            };
            std::iter::from_fn(next).collect()
        };
        let fits = |shares: &Vec<Share>| {
            let largest = shares.iter().map(|share| share.layout.bytes()).max().unwrap_or(0);
            largest.saturating_mul(slots as u64) <= binding
        };
        (1..MOST).map(made).find(fits).unwrap_or_else(|| made(MOST))
    }
}

impl Share {
    /// Its part of a record.
    pub(crate) fn of<'a>(&self, whole: &ExpertLayout, record: &'a [u8], [width, hidden]: [usize; 2]) -> Cow<'a, [u8]> {
        let (to, ups, downs) = (&self.layout, 2 * self.ups.start..2 * self.ups.end, &self.downs);
        if to == whole {
            return Cow::Borrowed(record);
        }
        let mut part = vec![0; to.bytes() as usize];
        let mut copy = |to: usize, from: usize, rows: &Range<usize>, row: usize| {
            part[4 * to..][..rows.len() * row]
                .copy_from_slice(&record[4 * from + rows.start * row..][..rows.len() * row]);
        };
        let weights = |format: Format, cols: usize| 4 * format.row_words(cols);
        let scales = |format: Format, cols: usize| format.row_scales(cols as u64) as usize;
        copy(0, 0, &ups, weights(to.up_format, hidden));
        copy(to.up_scales, whole.up_scales, &ups, scales(to.up_format, hidden));
        copy(to.down_weights, whole.down_weights, downs, weights(to.down_format, width));
        copy(to.down_scales, whole.down_scales, downs, scales(to.down_format, width));
        if whole.up_bias > 0 {
            copy(to.up_bias, whole.up_bias, &ups, 4);
            copy(to.down_bias, whole.down_bias, downs, 4);
        }
        Cow::Owned(part)
    }
}
