//! No secret is ever printed: not in `show`, not in an error, not by `Debug`.

use super::{World, shown};
use crate::settings::fault::Origin;
use crate::settings::merged::Merged;
use crate::settings::table::{Kind, Setting, TABLE};
use crate::settings::valid::section;
use crate::settings::written::{Entry, Layer};
use crate::settings::{Admin, OpenAi, Server};

const MARKER: &str = "s3ntinel";

fn secrets() -> impl Iterator<Item = &'static Setting> {
    TABLE.iter().filter(|setting| setting.kind == Kind::Secret)
}

/// Everything that refused settings can print.
fn printed(world: &World) -> String {
    let error = world.try_load().expect_err("these settings should be refused");
    format!("{error}\n{error:?}")
}

#[test]
fn set_secrets_are_masked_wherever_settings_are_printed() {
    let world = secrets().fold(World::new(), |world, secret| world.env(&secret.variable(), MARKER));
    let world = world.env("OPENAI_FALLBACK_BASE_URL", "https://x.example").env("OPENAI_FALLBACK_MODEL", "m");
    let settings = world.load();
    assert_eq!(settings.openai.fallback.as_ref().unwrap().api_key.expose(), MARKER, "the marker arrived");
    for secret in secrets() {
        let variable = secret.variable();
        assert_eq!(shown(&world, &variable), format!("********  # environment variable {variable}"));
    }
    let token = settings.admin.token.as_ref().unwrap();
    let all =
        format!("{}{settings:?}{settings:#?}{:?}{token}{token:?}", settings.show(), settings.warnings());
    assert!(!all.contains(MARKER), "{all}");
}

#[test]
fn no_value_of_any_variable_is_in_an_error() {
    // Too odd for any rule, and the marker would be seen from either end.
    let bad = format!("{MARKER}\u{1} {MARKER}");
    let names: Vec<String> = crate::settings::variables().collect();
    for name in &names {
        let all = printed(&World::new().env(name, &bad));
        assert!(all.contains(name) && !all.contains(MARKER), "{all}");
        let quoted = format!("{name}=\"{MARKER}\u{1} {MARKER}\"\n");
        let all = printed(&World::new().file(".env", quoted));
        assert!(all.contains(name) && !all.contains(MARKER), "{all}");
        let all = printed(&World::new().file(".env", format!("{name}={MARKER} {MARKER}\n")));
        assert!(all.contains(name) && !all.contains(MARKER), "{all}");
    }
    let all = names.iter().fold(World::new(), |world, name| world.env(name, &bad));
    assert!(!printed(&all).contains(MARKER), "{}", printed(&all));
}

#[test]
fn no_content_of_a_value_file_is_in_an_error() {
    for setting in TABLE {
        let Some(name) = setting.file_variable() else { continue };
        let world = World::new().file("value", format!("{MARKER}\u{1} {MARKER}")).env(&name, "value");
        let all = printed(&world);
        assert!(all.contains(&setting.variable()) && !all.contains(MARKER), "{all}");
    }
}

#[test]
fn a_secret_put_where_its_path_belongs_is_not_repeated() {
    for secret in secrets() {
        let name = secret.file_variable().unwrap();
        for value in [MARKER.to_owned(), MARKER.repeat(1000), format!("{MARKER}/{MARKER}")] {
            let all = printed(&World::new().env(&name, value));
            assert!(all.contains(&name) && !all.contains(MARKER), "{all}");
        }
    }
}

#[test]
fn no_secret_of_a_settings_file_is_in_an_error() {
    for secret in secrets() {
        let Setting { section, key, .. } = secret;
        for value in [
            format!("\"{MARKER}\""),
            format!("[\"{MARKER}\"]"),
            format!("{{ {key} = \"{MARKER}\" }}"),
            MARKER.to_owned(),
            format!("\"{MARKER}"),
            format!("'{MARKER}\\u0000\" # {MARKER}"),
        ] {
            let all = printed(&World::new().file("config.toml", format!("[{section}]\n{key} = {value}\n")));
            assert!(all.contains("line: 2") && !all.contains(MARKER), "{all}");
        }
    }
}

#[test]
fn both_spellings_set_does_not_print_either() {
    for secret in secrets() {
        let world = World::new().file("value", MARKER).env(&secret.variable(), MARKER);
        let all = printed(&world.env(&secret.file_variable().unwrap(), "value"));
        assert!(all.contains("is set, and so is") && !all.contains(MARKER), "{all}");
    }
}

/// What would be read if the table let a wrong value through.
#[test]
fn errors_of_the_last_conversion_name_the_variable_and_not_the_value() {
    let nothing = Merged::of(Vec::new());
    let missing = section::<Server>(&nothing, "SERVER_").unwrap_err().to_string();
    assert_eq!(missing, "SERVER_HOST is not set; compare it with the built-in config.toml");
    assert!(section::<Admin>(&nothing, "ADMIN_").unwrap().token.is_none());

    let mut layer = Layer::new();
    let entry = Entry { text: MARKER.to_owned(), origin: Origin::BuiltIn };
    layer.insert("OPENAI_TIMEOUT_MS".to_owned(), entry);
    let error = section::<OpenAi>(&Merged::of(vec![layer]), "OPENAI_").unwrap_err();
    assert!(error.to_string().starts_with("OPENAI_* holds a value that cannot be read"), "{error}");
    assert!(!format!("{error:?}").contains(MARKER));
}
