//! "Did you mean": the nearest of the words that would have been right.

/// The candidate that `word` most likely stands for, if one is near enough to be worth a sentence.
///
/// Spelling that differs only in letter case or between `-`, `_` and nothing always counts as near.
pub(super) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let folded = fold(word);
    let reach = (word.chars().count() / 3).clamp(1, 4);
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let other = fold(candidate);
            let distance = if other == folded {
                0
            } else {
                distance(&folded, &other)
            };
            (distance <= reach).then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `, did you mean \`…\`?` or nothing.
pub(super) fn did_you_mean<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> String {
    nearest(word, candidates)
        .map(|found| format!(", did you mean `{found}`?"))
        .unwrap_or_default()
}

/// A list of names for a hint; long ones are cut, since a hint is one line.
pub(super) fn list<'c>(names: impl IntoIterator<Item = &'c str>) -> String {
    const SHOWN: usize = 12;
    let all: Vec<&str> = names.into_iter().collect();
    let mut text = all
        .iter()
        .take(SHOWN)
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ");
    if all.len() > SHOWN {
        text.push_str(&format!(" and {} more", all.len() - SHOWN));
    }
    text
}

fn fold(word: &str) -> Vec<char> {
    word.chars()
        .take(64)
        .filter(|c| !matches!(c, '-' | '_'))
        .flat_map(char::to_lowercase)
        .collect()
}

/// Edits (insert, remove, replace, swap of neighbours) between two words. Words are cut at 64 characters by [`fold`],
/// so that a hostile file cannot make this slow.
fn distance(one: &[char], two: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=two.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut row = Vec::with_capacity(two.len() + 1);
        row.push(i + 1);
        for (j, b) in two.iter().enumerate() {
            let replace = last.get(j).copied().unwrap_or(usize::MAX) + usize::from(a != b);
            let remove = last.get(j + 1).copied().unwrap_or(usize::MAX).saturating_add(1);
            let insert = row.get(j).copied().unwrap_or(usize::MAX).saturating_add(1);
            let mut best = replace.min(remove).min(insert);
            let swapped = i > 0 && j > 0 && one.get(i - 1) == Some(b) && two.get(j - 1) == Some(a);
            if swapped && let Some(earlier) = before.get(j - 1) {
                best = best.min(earlier + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_found_whatever_its_case_and_hyphens() {
        let words = ["routes", "route", "rate", "body-limit"];
        assert_eq!(nearest("rout", words), Some("route"));
        assert_eq!(nearest("ruotes", words), Some("routes"));
        assert_eq!(nearest("bodyLimit", words), Some("body-limit"));
        assert_eq!(nearest("body_limit", words), Some("body-limit"));
        assert_eq!(nearest("telemetry", words), None);
        assert_eq!(nearest("", words), None);
    }
}
