//! `.env`: what is understood, what is refused, and that the process environment stays as it is.

use super::{World, shown};

#[test]
fn quotes_comments_exports_and_a_byte_order_mark_are_understood() {
    let world = World::new().file(
        ".env",
        "\u{feff}# first\nexport ADMIN_TOKEN='a$b#c'\r\nOPENAI_MODEL=\"two words\" # why\nDEDUP_TTL_HOURS = 7\nPORT=81 ",
    );
    let settings = world.load();
    assert_eq!(settings.admin.token.unwrap().expose(), "a$b#c");
    assert_eq!(settings.openai.model, "two words");
    assert_eq!(settings.server.port, 81);
    assert_eq!(shown(&world, "DEDUP_TTL_HOURS"), "7  # .env, line 4, DEDUP_TTL_HOURS");
}

#[test]
fn the_last_of_two_lines_counts() {
    assert_eq!(
        shown(&World::new().file(".env", "PORT=1\nPORT=2\n"), "SERVER_PORT"),
        "2  # .env, line 2, PORT"
    );
}

#[test]
fn the_process_environment_is_not_touched() {
    let before: Vec<_> = std::env::vars_os().collect();
    World::new().file(".env", "DEDUP_TTL_HOURS=7\n").load();
    assert_eq!(std::env::vars_os().collect::<Vec<_>>(), before);
}

#[test]
fn a_line_of_ours_that_cannot_be_read_is_refused_with_its_number() {
    let world = World::new().file(".env", "# note\nPORT=81\nADMIN_TOKEN=two words\nDEDUP_TTL_HOURS=7\n");
    assert_eq!(
        world.refused(),
        "ADMIN_TOKEN cannot be read as NAME=value (.env, line 3); \
         put 'single quotes' around a value with spaces, quotes, $ or #"
    );
    let no_name = World::new().file(".env", "PORT=81\n\nwhat is this\n").refused();
    assert!(no_name.starts_with(".env cannot be read as NAME=value (.env, line 3)"), "{no_name}");
    let export = World::new().file(".env", "export ADMIN_TOKEN=two words\n").refused();
    assert!(export.starts_with("ADMIN_TOKEN cannot be read as NAME=value (.env, line 1)"), "{export}");
}

#[test]
fn an_open_quote_is_refused_where_it_opens() {
    let refused = World::new().file(".env", "PORT=81\nNOTE='open\nADMIN_TOKEN=abc\n\n").refused();
    assert!(refused.starts_with(".env cannot be read as NAME=value (.env, line 2)"), "{refused}");
}

#[test]
fn a_line_of_somebody_else_is_let_pass() {
    let world = World::new().file(".env", "MOTTO=two words\nPORT=81\n");
    assert_eq!(world.load().server.port, 81);
}

#[test]
fn one_that_is_not_text_or_no_file_is_refused() {
    let bytes = World::new().file(".env", b"PORT=\xff\n").refused();
    assert!(bytes.starts_with(".env is not UTF-8 text"), "{bytes}");
    let world = World::new();
    std::fs::create_dir(world.dir.path().join(".env")).unwrap();
    assert!(world.refused().starts_with(".env is not a regular file"), "{}", world.refused());
}

#[test]
fn a_long_line_keeps_the_count() {
    // Longer than the 8 KiB buffer that dotenvy reads through.
    let world = World::new().file(".env", format!("NOTE={}\nPORT=81\n", "x".repeat(20_000)));
    assert_eq!(shown(&world, "SERVER_PORT"), "81  # .env, line 2, PORT");
}
