//! The part of an event that matches, for stores that do not say.

use crate::event::Event;

/// Characters before the first match.
const BEFORE: usize = 60;

/// Characters of a snippet.
const LENGTH: usize = 200;

/// The surroundings of the first word that occurs in the answer, else in the prompt.
pub(super) fn of(event: &Event, words: &str) -> String {
    let texts = [event.prompt.as_deref(), event.answer.as_deref()];
    let words: Vec<Vec<char>> = words
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| word.chars().flat_map(char::to_lowercase).collect())
        .collect();
    let mut first = None;
    for text in texts.into_iter().flatten() {
        let chars: Vec<char> = text.chars().collect();
        if let Some(at) = position(&chars, &words) {
            return cut(&chars, at);
        }
        first = first.or(Some(chars));
    }
    first.map(|chars| cut(&chars, 0)).unwrap_or_default()
}

/// Where the first of the words stands as a whole word.
fn position(text: &[char], words: &[Vec<char>]) -> Option<usize> {
    let mut at = 0usize;
    for run in text.chunk_by(|a, b| a.is_alphanumeric() == b.is_alphanumeric()) {
        let lower = || run.iter().flat_map(|c| c.to_lowercase());
        if words.iter().any(|word| lower().eq(word.iter().copied())) {
            return Some(at);
        }
        at = at.saturating_add(run.len());
    }
    None
}

fn cut(text: &[char], at: usize) -> String {
    let from = at.saturating_sub(BEFORE);
    let to = from.saturating_add(LENGTH).min(text.len());
    let mut snippet = String::new();
    if from > 0 {
        snippet.push('…');
    }
    snippet.extend(text.get(from..to).unwrap_or_default());
    if to < text.len() {
        snippet.push('…');
    }
    snippet
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::tests::chat;

    #[test]
    fn a_snippet_shows_the_first_word_that_matches() {
        let long = format!("{} The Zebra runs. {}", "x ".repeat(200), "y ".repeat(200));
        let mut event = chat("a", "s", 1, &long);
        let snippet = of(&event, "nothing zebra");
        assert!(
            snippet.contains("Zebra runs") && snippet.starts_with('…') && snippet.ends_with('…')
        );
        assert!(snippet.chars().count() <= LENGTH.saturating_add(2));
        assert_eq!(of(&event, "answer"), "An answer.");
        assert!(of(&event, "zeb").starts_with("x x"), "no part of a word");
        event.prompt = None;
        event.answer = None;
        assert_eq!(of(&event, "zebra"), "");
    }
}
