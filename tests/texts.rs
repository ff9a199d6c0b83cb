//! A hundred thousand texts by number, the same as `fixtures/maker/texts.py` makes.

use moebius_tests::json;

/// What texts are made of.
pub(crate) struct Texts {
    pieces: Vec<String>,
    /// How many of the first pieces are words.
    words: usize,
    ranges: Vec<(u32, u32)>,
    /// Long ones: a part, and how often.
    pub(crate) long: Vec<(String, usize)>,
}

/// Numbers by lot: xorshift64*, of 31 bits.
struct Lots(u64);

impl Lots {
    fn new(seed: u64) -> Self {
        Lots((seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).max(1))
    }

    fn below(&mut self, end: usize) -> usize {
        let Lots(x) = self;
        *x ^= *x << 13;
        *x ^= *x >> 7;
        *x ^= *x << 17;
        (x.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % end
    }
}

impl Texts {
    pub(crate) fn new() -> Self {
        let json = json("tokenizer/texts.json");
        let part = |key: &str| json[key].clone();
        Texts {
            pieces: serde_json::from_value(part("pieces")).unwrap(),
            words: serde_json::from_value(part("words")).unwrap(),
            ranges: serde_json::from_value(part("ranges")).unwrap(),
            long: serde_json::from_value(part("long")).unwrap(),
        }
    }

    /// The text of this number.
    pub(crate) fn text(&self, number: u64) -> String {
        let mut lots = Lots::new(number);
        let mut out = String::new();
        for _ in 0..2 + lots.below(6) {
            match lots.below(16) {
                0..7 => out += &self.pieces[lots.below(self.pieces.len())],
                7..10 => {
                    out.push(' ');
                    out += &self.pieces[lots.below(self.words)];
                }
                10..12 => {
                    let (low, high) = self.ranges[lots.below(self.ranges.len())];
                    for _ in 0..1 + lots.below(4) {
                        out.extend(char::from_u32(low + lots.below((high - low + 1) as usize) as u32));
                    }
                }
                12 => {
                    let unit = &self.pieces[lots.below(self.pieces.len())];
                    let most = if unit.chars().count() < 4 { 12 } else { 3 };
                    out += &unit.repeat(1 + lots.below(most));
                }
                13 => out += &" ".repeat(1 + lots.below(30)),
                14 => out += &lots.below(1 << 30).to_string(),
                _ => out += &self.pieces[lots.below(self.words)].to_uppercase(),
            }
        }
        out
    }
}
