//! Floats of a sign, a few bits of exponent and of fraction, without infinities: exact to decode, nearest to encode.

/// A kind of small float. Codes are sign, exponent, fraction, from the highest bit.
pub(super) struct Small {
    /// Bits of fraction.
    fraction: u32,
    /// Bias of the exponent.
    bias: u32,
    /// Code of the largest value; what is larger becomes it.
    largest: u8,
}

/// Four bits of exponent, three of fraction: up to 448, and of 127 the rest is not a number (Micikevicius et al. 2022).
pub(super) const E4M3: Small = Small { fraction: 3, bias: 7, largest: 0x7E };

/// Two bits of exponent, one of fraction: up to 6.
pub(super) const E2M1: Small = Small { fraction: 1, bias: 1, largest: 7 };

impl Small {
    /// The value of a code without its sign.
    pub(super) const fn decode(&self, code: u8) -> f32 {
        let bits = (code as u32) << (23 - self.fraction);
        let one = f32::from_bits(bits + ((127 - self.bias) << 23));
        // Without an exponent there is no leading one: made with it, twice as large, and taken off again.
        if (code as u32) >> self.fraction == 0 { 2.0 * one - self.least() } else { one }
    }

    /// The code nearest to `v`, which is not negative; the even one of two.
    pub(super) fn encode(&self, v: f32) -> u8 {
        if v < self.least() {
            // Below, values stand at even steps.
            return (v / self.least() * (1 << self.fraction) as f32).round_ties_even() as u8;
        }
        let dropped = 23 - self.fraction;
        let bits = v.to_bits();
        let rounded = (bits + (1 << (dropped - 1)) - 1 + (bits >> dropped & 1)) >> dropped;
        (rounded - ((127 - self.bias) << self.fraction)).min(u32::from(self.largest)) as u8
    }

    /// The least value with a leading one.
    const fn least(&self) -> f32 {
        f32::from_bits((128 - self.bias) << 23)
    }
}
