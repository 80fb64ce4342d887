//! Which known word was probably meant.

/// The known word that takes the fewest single-letter changes, if they are few for the word's length.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let word = word.to_lowercase();
    known
        .iter()
        .map(|candidate| (changes(&word, candidate), *candidate))
        .filter(|(count, candidate)| *count <= candidate.chars().count().div_ceil(2).min(4))
        .min()
        .map(|(_, candidate)| candidate)
}

/// Insertions, removals and replacements of single letters that turn `a` into `b`.
fn changes(a: &str, b: &str) -> usize {
    // One row of the usual table: row[j] is the distance from the letters of `a` seen so far to the first j of `b`.
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (to, above) in b.chars().zip(row.iter().skip(1)) {
            left = (diagonal + usize::from(from != to))
                .min(above + 1)
                .min(left + 1);
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_levenshtein_s() {
        for (a, b, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("abc", "abc", 0),
            ("kitten", "sitting", 3),
            ("flaw", "lawn", 2),
            ("bot_token", "bot_tokens", 1),
        ] {
            assert_eq!(changes(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn a_near_word_is_found_and_a_far_one_is_not() {
        let known = ["name", "transport", "app_token", "bot_tokens"];
        assert_eq!(nearest("bot_token", &known), Some("bot_tokens"));
        assert_eq!(nearest("Name", &known), Some("name"));
        assert_eq!(nearest("transprot", &known), Some("transport"));
        assert_eq!(nearest("signing_secret", &known), None);
    }
}
