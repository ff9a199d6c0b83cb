//! The comparator of kernel tests, itself under test: it must refuse perturbed, NaN, short and swapped buffers.

/// How far a value may be from the truth: a part of the true value and a part of the largest true value of the buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    /// Part of the value itself.
    pub relative: f32,
    /// Part of the largest magnitude: what a sum of terms that cancel can lose.
    pub of_largest: f32,
}

/// Compares floats; gives the largest used part of the bound, or says which value is off and by how much.
pub(crate) fn floats(got: &[f32], want: &[f32], bound: Bound) -> Result<f32, String> {
    if got.len() != want.len() {
        return Err(format!("{} values for {}", got.len(), want.len()));
    }
    let largest = want.iter().fold(0f32, |m, v| m.max(v.abs()));
    let mut used = 0f32;
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        let diff = (got - want).abs();
        let allowed = bound.relative * want.abs() + bound.of_largest * largest;
        // Written so that a NaN fails; an infinite truth would allow anything.
        if !(diff <= allowed && want.is_finite()) {
            return Err(format!("value {i} is {got:e}, not {want:e}: off by {diff:e}, over {allowed:e}"));
        }
        if diff > 0.0 {
            used = used.max(diff / allowed);
        }
    }
    Ok(used)
}

/// Compares words exactly.
pub(crate) fn words(got: &[u32], want: &[u32]) -> Result<f32, String> {
    if got.len() != want.len() {
        return Err(format!("{} words for {}", got.len(), want.len()));
    }
    match got.iter().zip(want).position(|(a, b)| a != b) {
        Some(i) => Err(format!("word {i} is {}, not {}", got[i], want[i])),
        None => Ok(0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::{Bound, floats, words};

    const BOUND: Bound = Bound { relative: 1e-5, of_largest: 1e-6 };
    const TRUTH: [f32; 5] = [1.0, -2.0, 3.5, 1e-4, -100.0];

    fn changed(i: usize, v: f32) -> Vec<f32> {
        let mut copy = TRUTH.to_vec();
        copy[i] = v;
        copy
    }

    #[test]
    fn accepts_the_truth_and_what_is_inside_the_bound() {
        assert_eq!(floats(&TRUTH, &TRUTH, BOUND), Ok(0.0));
        assert!(floats(&changed(4, -100.0005), &TRUTH, BOUND).is_ok());
    }

    #[test]
    fn refuses_a_perturbed_value() {
        assert!(floats(&changed(0, 1.001), &TRUTH, BOUND).is_err());
        assert!(floats(&changed(3, -1e-3), &TRUTH, BOUND).is_err());
    }

    #[test]
    fn refuses_nan_and_infinity() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert!(floats(&changed(2, bad), &TRUTH, BOUND).is_err());
            assert!(floats(&TRUTH, &changed(2, bad), BOUND).is_err());
        }
    }

    #[test]
    fn refuses_short_long_and_swapped() {
        assert!(floats(&TRUTH[..4], &TRUTH, BOUND).is_err());
        assert!(floats(&TRUTH, &TRUTH[..4], BOUND).is_err());
        assert!(floats(&[-2.0, 1.0, 3.5, 1e-4, -100.0], &TRUTH, BOUND).is_err());
        assert!(floats(&[0.0; 5], &TRUTH, BOUND).is_err());
        assert!(words(&[1, 2], &[2, 1]).is_err());
        assert!(words(&[1], &[1, 2]).is_err());
        assert!(words(&[1, 2], &[1, 2]).is_ok());
    }
}
