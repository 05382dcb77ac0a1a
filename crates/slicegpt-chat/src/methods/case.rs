//! Upper and lower case, and what kinds of characters a text has.

use crate::value::numeric::{decimal, is_digit, is_numeric};
use crate::value::repr::printable;
use crate::value::space::is_space;

/// The first letter of a word.
fn title_letter(character: char) -> String {
    match character {
        'ǆ' | 'Ǆ' | 'ǅ' => "ǅ".into(),
        'ǉ' | 'Ǉ' | 'ǈ' => "ǈ".into(),
        'ǌ' | 'Ǌ' | 'ǋ' => "ǋ".into(),
        'ǳ' | 'Ǳ' | 'ǲ' => "ǲ".into(),
        _ => {
            // After its first capital, what a letter becomes is in lower case.
            let mut capital = false;
            let mut title = String::new();
            for part in character.to_uppercase() {
                if capital {
                    title.extend(part.to_lowercase())
                } else {
                    title.push(part)
                }
                capital |= part.is_uppercase();
            }
            title
        }
    }
}

/// As Python's `str.capitalize`.
pub fn capitalize(text: &str) -> String {
    let mut rest = text.chars();
    match rest.next() {
        Some(first) => title_letter(first) + &rest.as_str().to_lowercase(),
        None => String::new(),
    }
}

/// As Python's `str.title`.
pub fn title(text: &str) -> String {
    let mut titled = String::with_capacity(text.len());
    let mut word = false;
    for character in text.chars() {
        if word {
            titled.extend(character.to_lowercase())
        } else {
            titled.push_str(&title_letter(character))
        }
        word = cased(character);
    }
    titled
}

/// As Python's `str.swapcase`.
pub fn swap(text: &str) -> String {
    let mut swapped = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_uppercase() {
            swapped.extend(character.to_lowercase());
        } else if character.is_lowercase() {
            swapped.extend(character.to_uppercase());
        } else {
            swapped.push(character);
        }
    }
    swapped
}

/// As Python's `str.casefold`.
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for character in text.chars() {
        if character == 'ı' {
            folded.push(character);
        } else {
            folded.extend(character.to_uppercase().flat_map(char::to_lowercase));
        }
    }
    folded
}

/// A letter that is not also a numeral, as Roman numerals are.
fn is_letter(character: char) -> bool {
    character.is_alphabetic() && !character.is_numeric()
}

fn cased(character: char) -> bool {
    character.is_lowercase()
        || character.is_uppercase()
        || matches!(character, 'ǅ' | 'ǈ' | 'ǋ' | 'ǲ')
}

/// As Python's `str.isalnum` and its like, by `name`.
pub fn is(text: &str, name: &str) -> bool {
    let all = |test: fn(char) -> bool| !text.is_empty() && text.chars().all(test);
    match name {
        "isalpha" => all(is_letter),
        "isalnum" => all(|c| is_letter(c) || is_digit(c) || is_numeric(c)),
        "isascii" => text.is_ascii(),
        "isdecimal" => all(|c| decimal(c).is_some()),
        "isdigit" => all(is_digit),
        "isnumeric" => all(is_numeric),
        "isspace" => all(is_space),
        "isprintable" => text.chars().all(printable),
        "isidentifier" => {
            let first = |c: char| c == '_' || c.is_alphabetic();
            text.chars().next().is_some_and(first)
                && text.chars().all(|c| first(c) || decimal(c).is_some())
        }
        "islower" => text.chars().any(char::is_lowercase) && !text.chars().any(char::is_uppercase),
        "isupper" => text.chars().any(char::is_uppercase) && !text.chars().any(char::is_lowercase),
        _ => is_title(text),
    }
}

fn is_title(text: &str) -> bool {
    let mut word = false;
    let mut any = false;
    for character in text.chars() {
        let upper = character.is_uppercase();
        if (upper && word) || (character.is_lowercase() && !word) {
            return false;
        }
        word = cased(character);
        any |= word;
    }
    any
}
