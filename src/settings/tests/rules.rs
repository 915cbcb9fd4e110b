//! The rule of each setting alone.

use super::World;
use crate::settings::rule::Rule;
use crate::settings::table::{Kind, TABLE};
use crate::settings::{AmbiguousSend, LogFormat, VoicePolicy};

#[test]
fn every_number_keeps_its_bounds() {
    for setting in TABLE {
        let (Rule::Number { min, max, .. } | Rule::Numbers { min, max, .. }) = setting.rule else { continue };
        let variable = setting.variable();
        for good in [min, max] {
            World::new().env(&variable, good.to_string()).load();
        }
        let too_small = min.checked_sub(1).map(|number| number.to_string());
        let too_large = [(max + 1).to_string(), "99999999999999999999999".to_owned()];
        for bad in too_small.into_iter().chain(too_large) {
            let text = World::new().env(&variable, &bad).refused();
            assert!(
                text.starts_with(&format!("{variable} is out of range (environment variable ")),
                "{text}"
            );
            assert!(text.contains(&format!("from {min} to {max}")), "{text}");
        }
        for bad in ["x", "-1", "+1", "1.0", "1e3", " 1x", "0x10", "١"] {
            let text = World::new().env(&variable, bad).refused();
            assert!(text.starts_with(&format!("{variable} is not a whole number")), "{bad}: {text}");
        }
    }
}

#[test]
fn attempts_and_backlog_have_the_bounds_that_were_promised() {
    for (variable, good, bad) in [
        ("WHATSAPP_MAX_ATTEMPTS", ["1", "10"], ["0", "11"]),
        ("OPENAI_MAX_ATTEMPTS", ["1", "10"], ["0", "11"]),
        ("ELEVENLABS_MAX_ATTEMPTS", ["1", "10"], ["0", "11"]),
        ("CONVERSATION_BACKLOG", ["1", "1000"], ["0", "1001"]),
    ] {
        for value in good {
            World::new().env(variable, value).load();
        }
        for value in bad {
            World::new().env(variable, value).refused();
        }
    }
}

#[test]
fn every_word_has_its_type_and_no_other_word_is_taken() {
    for setting in TABLE {
        let Rule::Words(words) = setting.rule else { continue };
        let variable = setting.variable();
        for word in words {
            World::new().production().without("APP_ENV").env(&variable, *word).load();
        }
        for bad in ["x", &words[0].to_uppercase(), &format!("{} ", words[0])] {
            let text = World::new().env(&variable, bad).refused();
            assert!(text.starts_with(&format!("{variable} is none of the words allowed")), "{text}");
            assert!(text.ends_with(&format!("set it to {}", words.join(" or "))), "{text}");
        }
    }
    let settings = World::new()
        .env("WHATSAPP_AMBIGUOUS_SEND", "hold")
        .env("CONVERSATION_VOICE", "never")
        .env("LOG_FORMAT", "pretty")
        .load();
    assert_eq!(settings.whatsapp.ambiguous_send, AmbiguousSend::Hold);
    assert_eq!((settings.conversation.voice, settings.log.format), (VoicePolicy::Never, LogFormat::Pretty));
}

#[test]
fn values_of_the_wrong_form_are_refused() {
    for (variable, value, problem) in [
        ("SERVER_HOST", "example.org", "is not an IP address"),
        ("SERVER_HOST", "127.0.0.1:80", "is not an IP address"),
        ("SERVER_PUBLIC_URL", "example.org", "does not begin with https:// or http://"),
        ("SERVER_TRUSTED_PROXIES", "10.0.0.0/33", "has a prefix longer than its address"),
        ("SERVER_TRUSTED_PROXIES", "10.0.0.1,,10.0.0.2", "has an empty element"),
        ("SERVER_TRUSTED_PROXIES", "10.0.0.1,proxy", "is not an IP address or network"),
        ("WHATSAPP_PHONE_NUMBER_ID", "+39 347", "is not an id of digits"),
        ("WHATSAPP_BUSINESS_ACCOUNT_ID", "1a", "is not an id of digits"),
        ("WHATSAPP_BUSINESS_ACCOUNT_ID", "123456789012345678901234567890123", "is not an id of digits"),
        ("WHATSAPP_BASE_URL", "https://u:p@example.org", "holds a user name or a password"),
        ("WHATSAPP_API_VERSION", "25.0", "is not a version"),
        ("WHATSAPP_API_VERSION", "v25", "is not a version"),
        ("WHATSAPP_API_VERSION", "v25.0/x", "is not a version"),
        ("WHATSAPP_MEDIA_HOSTS", "lookaside.fbsbx.com:443", "has a scheme, a port or a path in it"),
        ("WHATSAPP_MEDIA_HOSTS", "https://lookaside.fbsbx.com", "has a scheme, a port or a path in it"),
        ("WHATSAPP_MEDIA_HOSTS", "a.example,,b.example", "has an empty element"),
        ("WHATSAPP_BACKOFF_MS", "0,x", "is not a whole number"),
        ("WHATSAPP_BACKOFF_MS", "0,,1", "is not a whole number"),
        ("WHATSAPP_BACKOFF_MS", "1,2,3,4,5,6,7,8,9,10,11", "has too many elements"),
        ("OPENAI_BASE_URL", "ftp://example.org", "does not begin with https:// or http://"),
        ("OPENAI_MODEL", " gpt", "begins or ends with a space"),
        ("OPENAI_MODEL", "a\nb", "has a line end or another control character in it"),
        ("ELEVENLABS_VOICE_ID", "../v1", "has characters that an id cannot have"),
        ("LEDGER_PATH", "a\0b", "has a line end or another control character in it"),
        ("LOG_FILTER", "parlante=loud", "is not a log filter"),
    ] {
        let text = World::new().env(variable, value).refused();
        let expected = format!("{variable} {problem} (environment variable {variable}); set it to ");
        assert!(text.starts_with(&expected), "{value:?}: {text}");
    }
}

#[test]
fn a_list_of_secrets_has_no_empty_element() {
    let settings = World::new().env("WHATSAPP_APP_SECRET", "new, old").load();
    let secrets: Vec<&str> = settings.whatsapp.app_secrets.iter().map(|secret| secret.expose()).collect();
    assert_eq!(secrets, ["new", "old"]);
    // An empty key would accept a signature that anybody can make.
    for bad in ["a,", ",a", "a,,b", ",", " ", "a, ,b"] {
        let text = World::new().env("WHATSAPP_APP_SECRET", bad).refused();
        assert!(text.starts_with("WHATSAPP_APP_SECRET has an empty element"), "{bad:?}: {text}");
    }
}

#[test]
fn tokens_fit_into_a_header() {
    for setting in TABLE.iter().filter(|setting| setting.kind == Kind::Secret) {
        let variable = setting.variable();
        let line_end = World::new().env(&variable, "abc\ndef").refused();
        assert!(line_end.starts_with(&format!("{variable} has a")), "{line_end}");
    }
    for variable in ["WHATSAPP_ACCESS_TOKEN", "OPENAI_API_KEY", "ELEVENLABS_API_KEY", "ADMIN_TOKEN"] {
        for bad in ["a b", "a\u{e8}", "\"a\u{7f}\""] {
            let text = World::new().env(variable, bad).refused();
            assert!(
                text.starts_with(&format!("{variable} has a space, a line end or a character")),
                "{text}"
            );
        }
    }
}

#[test]
fn localhost_is_a_host() {
    assert!(World::new().env("HOST", "localhost").load().server.host.is_loopback());
}
