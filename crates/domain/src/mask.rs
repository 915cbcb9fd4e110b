//! The only form in which a person's number or BSUID may be printed.

/// First 3 characters, six `*`, last 3; six or fewer characters become all `*`.
#[must_use]
pub fn mask(id: &str) -> String {
    let chars: Vec<char> = id.chars().collect();
    if chars.len() <= 6 {
        return "*".repeat(chars.len());
    }
    let head: String = chars.iter().take(3).collect();
    let tail: String = chars.iter().skip(chars.len() - 3).collect();
    format!("{head}******{tail}")
}

#[cfg(test)]
mod tests {
    use super::mask;

    #[test]
    fn keeps_three_at_each_end() {
        assert_eq!(mask("393247722154"), "393******154");
        assert_eq!(mask("US.4410097722110033"), "US.******033");
    }

    #[test]
    fn hides_a_short_one_whole() {
        assert_eq!(mask("123456"), "******");
        assert_eq!(mask(""), "");
    }
}
