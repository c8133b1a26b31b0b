//! JSON that was cut off, closed so that what is there can be read.

/// Closes open strings, arrays and objects. Nothing if the text is not the beginning of a JSON
/// object or array.
pub(super) fn close(text: &str) -> Option<String> {
    let text = text.trim_end_matches(char::REPLACEMENT_CHARACTER);
    if !text.trim_start().starts_with(['{', '[']) {
        return None;
    }
    let mut open = Vec::new();
    let mut in_string = false;
    let mut escape: Option<usize> = None;
    // Where the last complete member ended: what comes after may be half a member.
    let mut safe: Option<(usize, Vec<char>)> = None;
    for (at, c) in text.char_indices() {
        if in_string {
            match (escape, c) {
                (Some(from), _) => {
                    let long = text.get(from..).is_some_and(|rest| rest.starts_with("\\u"));
                    let need = if long { 5 } else { 1 };
                    if at.saturating_sub(from) >= need {
                        escape = None;
                    }
                }
                (None, '\\') => escape = Some(at),
                (None, '"') => in_string = false,
                (None, _) => {}
            }
            continue;
        }
        match c {
            '"' => in_string = true,
            '{' => open.push('}'),
            '[' => open.push(']'),
            '}' | ']' => {
                open.pop();
            }
            ',' => safe = Some((at, open.clone())),
            _ => {}
        }
    }
    if open.is_empty() {
        return None;
    }
    let mut whole = text.to_owned();
    if let Some(from) = escape {
        whole.truncate(from);
    }
    if in_string {
        whole.push('"');
    }
    whole.extend(open.iter().rev());
    if serde_json::from_str::<serde::de::IgnoredAny>(&whole).is_ok() {
        return Some(whole);
    }
    // Half a key, half a number or a lone comma: give up the last member.
    let (at, open) = safe?;
    let mut whole = text.get(..at)?.to_owned();
    whole.extend(open.iter().rev());
    Some(whole)
}
