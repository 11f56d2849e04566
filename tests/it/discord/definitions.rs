//! The commands that Discord is told of, held against its own description of them
//! and against what its documentation adds.

use serde_json::Value;

use crate::support::discord::checks;

/// Where all of them are replaced at once.
const TEMPLATES: [&str; 2] = [
    "/applications/{application_id}/commands",
    "/applications/{application_id}/guilds/{guild_id}/commands",
];

#[test]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn discords_description_takes_every_command() {
    if !checks::has_description() {
        eprintln!("SKIPPED: set DISCORD_OPENAPI to Discord's OpenAPI description");
        return;
    }
    let all = Value::from(dramatis::discord::definitions());
    for template in TEMPLATES {
        assert_eq!(checks::request("PUT", template, &all), Vec::<String>::new());
        assert_eq!(checks::unknown_properties("PUT", template, &all), Vec::<String>::new());
    }
    // So that the silence above means something.
    let mut wrong = dramatis::discord::definitions().to_vec();
    wrong[0]["options"][0]["description"] = "x".repeat(101).into();
    assert!(!checks::request("PUT", TEMPLATES[0], &Value::from(wrong)).is_empty());
}
