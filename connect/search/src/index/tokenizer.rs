//! Words of a log line: runs of letters, digits and `_`, in lower case; every CJK character is a word of its own, so
//! that any part of a sentence written without spaces is found as a phrase.

use tantivy::tokenizer::{TextAnalyzer, Token, TokenStream, Tokenizer, TokenizerManager};

use crate::limits::TOKEN_BYTES_MAX;

/// The name under which shards know this tokenizer. A change of what it emits needs a new name.
pub(crate) const TOKENIZER: &str = "weir_log_1";

pub(crate) fn tokenizers() -> TokenizerManager {
    let manager = TokenizerManager::default();
    manager.register(TOKENIZER, TextAnalyzer::from(LogTokenizer::default()));
    manager
}

/// The words of `text` in order.
pub(crate) fn words(text: &str) -> Vec<String> {
    let mut tokenizer = LogTokenizer::default();
    let mut stream = tokenizer.token_stream(text);
    let mut words = Vec::new();
    while stream.advance() {
        words.push(std::mem::take(&mut stream.token_mut().text));
    }
    words
}

#[derive(Clone, Default)]
pub(crate) struct LogTokenizer {
    token: Token,
}

pub(crate) struct LogTokenStream<'a> {
    text: &'a str,
    /// Where the next word is looked for.
    position_bytes: usize,
    token: &'a mut Token,
}

impl Tokenizer for LogTokenizer {
    type TokenStream<'a> = LogTokenStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> LogTokenStream<'a> {
        self.token.reset();
        LogTokenStream { text, position_bytes: 0, token: &mut self.token }
    }
}

impl LogTokenStream<'_> {
    /// The next word's bounds: ASCII goes byte by byte, as most of a log is.
    fn next_word(&mut self) -> Option<std::ops::Range<usize>> {
        let bytes = self.text.as_bytes();
        let mut start = None;
        let mut at = self.position_bytes;
        while at < bytes.len() {
            let (class, len) = match bytes[at] {
                b if b.is_ascii_alphanumeric() || b == b'_' => (Class::Letter, 1),
                b if b.is_ascii() => (Class::Gap, 1),
                _ => {
                    let Some(character) = self.text[at..].chars().next() else { break };
                    (class_of(character), character.len_utf8())
                }
            };
            match (class, start) {
                (Class::Letter, None) => start = Some(at),
                (Class::Letter, Some(_)) | (Class::Gap, None) => {}
                (Class::Gap | Class::Ideograph, Some(start)) => {
                    self.position_bytes = at;
                    return Some(start..at);
                }
                (Class::Ideograph, None) => {
                    self.position_bytes = at + len;
                    return Some(at..at + len);
                }
            }
            at += len;
        }
        self.position_bytes = bytes.len();
        start.map(|start| start..bytes.len())
    }
}

impl TokenStream for LogTokenStream<'_> {
    fn advance(&mut self) -> bool {
        while let Some(range) = self.next_word() {
            self.token.position = self.token.position.wrapping_add(1);
            if range.len() > TOKEN_BYTES_MAX {
                continue;
            }
            self.token.offset_from = range.start;
            self.token.offset_to = range.end;
            self.token.text.clear();
            let word = &self.text[range];
            if word.is_ascii() {
                self.token.text.push_str(word);
                self.token.text.make_ascii_lowercase();
            } else {
                self.token.text.extend(word.chars().flat_map(char::to_lowercase));
            }
            return true;
        }
        false
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

#[derive(Clone, Copy)]
enum Class {
    Letter,
    Ideograph,
    Gap,
}

fn class_of(character: char) -> Class {
    match u32::from(character) {
        // Kana, Hangul, Han with its extensions and compatibility forms.
        0x1100..=0x11FF
        | 0x3005..=0x3007
        | 0x3040..=0x30FF
        | 0x3130..=0x318F
        | 0x31F0..=0x31FF
        | 0x3400..=0x4DBF
        | 0x4E00..=0x9FFF
        | 0xAC00..=0xD7AF
        | 0xF900..=0xFAFF
        | 0xFF66..=0xFF9F
        | 0x20000..=0x3FFFF => Class::Ideograph,
        _ if character.is_alphanumeric() => Class::Letter,
        _ => Class::Gap,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_lower_case_runs_of_letters_digits_and_underscore() {
        assert_eq!(words("GET /api/v1/user_id?x=Ünïcode"), ["get", "api", "v1", "user_id", "x", "ünïcode"]);
        assert_eq!(words("10.0.0.1"), ["10", "0", "0", "1"]);
        assert_eq!(words("  ...  "), [""; 0]);
    }

    #[test]
    fn every_cjk_character_is_a_word_also_beside_latin_letters() {
        assert_eq!(words("订单abc支付失败"), ["订", "单", "abc", "支", "付", "失", "败"]);
        assert_eq!(words("エラー発生"), ["エ", "ラ", "ー", "発", "生"]);
        assert_eq!(words("결제"), ["결", "제"]);
    }

    #[test]
    fn offsets_point_into_the_text() {
        let text = "a 支付 B";
        let mut tokenizer = LogTokenizer::default();
        let mut stream = tokenizer.token_stream(text);
        let mut seen = Vec::new();
        while stream.advance() {
            let token = stream.token();
            seen.push((token.position, text[token.offset_from..token.offset_to].to_owned()));
        }
        assert_eq!(seen, [(0, "a".to_owned()), (1, "支".to_owned()), (2, "付".to_owned()), (3, "B".to_owned())]);
    }

    #[test]
    fn a_word_beyond_the_limit_is_left_out_and_keeps_its_place() {
        let text = format!("a {} b", "x".repeat(TOKEN_BYTES_MAX + 1));
        assert_eq!(words(&text), ["a", "b"]);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic_and_words_hold_no_gaps(text in ".*") {
            for word in words(&text) {
                proptest::prop_assert!(!word.is_empty() && !word.contains(' '));
            }
        }
    }
}
