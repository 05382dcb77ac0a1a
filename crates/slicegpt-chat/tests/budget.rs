//! A template that would never end, or use up the memory or the stack, ends with one error.

use std::time::{Duration, Instant};

use serde_json::json;
use slicegpt_chat::Jinja;

fn error(source: &str) -> String {
    let start = Instant::now();
    let messages = json!([{"role": "user", "content": "hi"}]);
    let given = Jinja::new(source).and_then(|template| template.render(&[("messages", &messages)]));
    let taken = start.elapsed();
    assert!(taken < Duration::from_secs(20), "{taken:?}: {:.80}", source);
    match given {
        Ok(text) => panic!("{source:.80} gives {} bytes", text.len()),
        Err(error) => error.to_string(),
    }
}

fn refused(source: &str, limit: &str) {
    let error = error(source);
    assert!(error.starts_with(limit) || error.contains(&format!(": {limit}")), "{error}");
    assert!(!error.contains('\n') && error.contains("(line "), "{error}");
}

#[test]
fn expressions_and_tags_are_not_nested_without_end() {
    let many = |text: &str| text.repeat(60_000);
    let deep = "expressions nested too deeply";
    refused(&format!("{{{{ messages{} }}}}", many("[0]")), deep);
    refused(&format!("{{{{ messages{} }}}}", many(".a")), deep);
    refused(&format!("{{{{ messages{} }}}}", many("()")), deep);
    refused(&format!("{{{{ messages{} }}}}", many("|first")), deep);
    refused(&format!("{{{{ messages{}{} }}}}", many(" is eq(1"), many(")")), deep);
    refused(&format!("{{{{ {}1 }}}}", many("-")), deep);
    refused(&format!("{{{{ {}1 }}}}", many("not ")), deep);
    refused(&format!("{{{{ 1{} }}}}", many("+1")), deep);
    refused(&format!("{{{{ 1{} }}}}", many(" and 1")), deep);
    refused(&format!("{{{{ 1{} }}}}", many(" if 1")), deep);
    refused(&format!("{{{{ 1{} }}}}", many(" if 1 else 1")), deep);
    refused(&format!("{{{{ {}1{} }}}}", many("("), many(")")), deep);
    refused(&format!("{{{{ {}1{} }}}}", many("["), many("]")), deep);
    refused(&format!("{{{{ {}1{} }}}}", many("{1:"), many("}")), deep);
    refused(&format!("{{% set {}a{} = 1 %}}", many("("), many(")")), deep);
    refused(&many("{% if 1 %}"), deep);
    refused(&many("{% for a in b %}"), deep);
    refused(&many("{% macro a() %}"), deep);
    refused(&many("{% generation %}"), deep);
    refused("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "expressions and calls nested");
    let caller = "{% macro f() %}{% call f() %}{% endcall %}{{ caller() }}{% endmacro %}{{ f() }}";
    assert!(error(caller).contains("nested") || error(caller).contains("caller"));
}

/// `step` done `count` times to `n.x`, which begins as `start`; then `last`.
fn grow(start: &str, count: usize, step: &str, last: &str) -> String {
    format!(
        "{{% set n = namespace(x={start}) %}}{{% for i in range({count}) %}}\
         {{% set n.x = {step} %}}{{% endfor %}}{{{{ n.x{last} }}}}"
    )
}

#[test]
fn values_do_not_grow_without_end() {
    let (deep, large) = ("value nested too deeply", "value too large");
    for last in ["", "|tojson", "|length", "|string", " == n.x"] {
        refused(&grow("[1]", 50_000, "[n.x]", last), deep);
        refused(&grow("(1,)", 50_000, "(n.x,)", last), deep);
        refused(&grow("{}", 50_000, "{'a': n.x}", last), deep);
        refused(&grow("[1]", 40, "[n.x, n.x]", last), large);
        refused(&grow("{}", 40, "{'a': n.x, 'b': n.x}", last), large);
    }
    refused(&grow("[1]", 50_000, "[n.x].copy", ""), deep);
    refused(&grow("[1]", 50_000, "cycler(n.x)", ""), deep);
    refused(&grow("[1]", 40, "n.x + n.x", ""), "list too long");
    refused("{{ [1]|slice(1000000000, 0)|length }}", "list too long");
    refused("{{ [1]|batch(1000000000, 0)|length }}", "list too long");
    refused("{{ [1] * 1000000000 }}", "list too long");
    refused("{{ range(1000000000)|list }}", "list too long");
}

#[test]
fn texts_do_not_grow_without_end() {
    let long = "text too long";
    refused(&grow("'aaaaaaaa'", 33, "n.x ~ n.x", "|length"), long);
    refused(&grow("'aaaaaaaa'", 33, "n.x + n.x", "|length"), long);
    refused(&grow("'aaaaaaaa'", 33, "n.x.join([n.x, n.x])", "|length"), long);
    refused(&grow("'aaaaaaaa'", 33, "[n.x, n.x]|join", "|length"), long);
    refused(&grow("'a'", 12, "n.x|replace('a', 'aaaaaaaaaa')", "|length"), long);
    refused(&grow("'a'", 12, "n.x.replace('a', 'aaaaaaaaaa')", "|length"), long);
    refused(&grow("'a'", 33, "'%s%s' % (n.x, n.x)", "|length"), long);
    refused(&grow("'a'", 33, "'{0}{0}'.format(n.x)", "|length"), long);
    refused("{{ ('&' * 10000000)|e|length }}", long);
    refused("{{ ('\\x00' * 10000000)|tojson|length }}", long);
    refused("{{ ['\\x00' * 10000000]|string|length }}", long);
    refused("{{ ('%2000000000d'|format(1))|length }}", long);
    refused("{{ '{:2000000000}'.format(1)|length }}", long);
    refused("{{ '{:2000000000,}'.format(1)|length }}", long);
    refused("{{ '{:.2000000000f}'.format(1)|length }}", long);
    refused("{{ '%.2000000000d' % 1 }}", long);
    refused("{{ '%.2000000000f' % 1 }}", long);
    refused("{{ '%*d' % (2000000000, 1) }}", long);
    refused("{{ 'a' * 2000000000 }}", long);
    refused("{{ 'a'.ljust(2000000000) }}", long);
    refused("{{ 'a'.center(2000000000) }}", long);
    refused("{{ 'a'.zfill(2000000000) }}", long);
    refused("{{ 'a'|center(2000000000) }}", long);
    refused("{{ 'a\\t'.expandtabs(2000000000) }}", long);
    refused("{{ 'a'|indent(2000000000) }}", long);
    refused("{{ ('a\\n' * 100000)|indent(100000)|length }}", long);
    refused("{{ [[1]]|tojson(indent=2000000000) }}", long);
    refused(
        "{% set s = 'a' * 100000 %}{% for i in range(99999) %}{{ s }}{% endfor %}",
        "prompt too",
    );
    let set = "{% set s = 'a' * 100000 %}{% set t %}{% for i in range(99999) %}{{ s }}{% endfor %}";
    refused(&format!("{set}{{% endset %}}"), long);
    refused("{{ 10 ** 40 }}", "a number has more than 128 bits");
    refused("{{ 2 ** 2000000000 }}", "a number has more than 128 bits");
    refused("{{ strftime_now('%2000000000Y') }}", "strftime_now");
}

#[test]
fn work_is_bounded() {
    let loops: String =
        ["a", "b", "c", "d"].map(|v| format!("{{% for {v} in range(99999) %}}")).concat();
    refused(&(loops + &"{% endfor %}".repeat(4)), "too much work");
    let twice = "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}";
    refused(&format!("{twice}{{{{ f(60) }}}}"), "too much work");
    let scan =
        "{% set s = 'a' * 10000000 %}{% for i in range(99999) %}{% set t = s STEP %}{% endfor %}";
    for step in [
        "| upper",
        "| length ~ s | trim | length",
        ".count('b')",
        "[1]",
        ".split('b')",
        "== s ~ ''",
    ] {
        refused(&scan.replace("STEP", step), "too much work");
    }
    let pairs = "{% set l = range(50000) | list %}{{ l | unique | list | length }}";
    refused(pairs, "too much work");
    let chosen = "{% set l = range(99999) | list %}{% for i in l %}{{ i in l }}{% endfor %}";
    refused(chosen, "too much work");
    let keys = "{% set n = namespace(x=[]) %}{% for i in range(9999) %}\
                {% set n.x = n.x + [(i, i)] %}{% endfor %}{{ dict(n.x) | length }}";
    refused(keys, "too much work");
}

/// Namespaces and macros may hold each other in any way; what they hold is freed at the end.
#[test]
fn what_holds_itself_ends() {
    let messages = json!([]);
    for source in [
        "{% set n = namespace() %}{% set n.x = n %}{{ n.x.x.x is defined }}",
        "{% set n = namespace(x=1) %}{% for i in range(50000) %}{% set n.x = namespace(y=n.x) %}\
         {% endfor %}True",
        "{% set n = namespace(f=1) %}{% macro m(f) %}{% macro g() %}{{ f }}{% endmacro %}\
         {% set n.f = g %}{% endmacro %}{% for i in range(20000) %}{{ m(n.f) }}{% endfor %}True",
    ] {
        let template = Jinja::new(source).unwrap();
        assert_eq!(template.render(&[("messages", &messages)]).as_deref(), Ok("True"), "{source}");
    }
    refused(
        "{% set n = namespace(x=1) %}{% for i in range(50000) %}{% for j in [n.x] %}\
         {% set n.x = loop %}{% endfor %}{% endfor %}",
        "value nested too deeply",
    );
}

/// A long conversation of an ordinary template is far from the limits.
#[test]
fn a_long_conversation_fits() {
    let turn = |index: usize| {
        let role = if index.is_multiple_of(2) { "user" } else { "assistant" };
        json!({"role": role, "content": " word".repeat(1000)})
    };
    let messages: Vec<_> = (0..2000).map(turn).collect();
    let template = Jinja::new(
        "{% for m in messages %}{% if m.role == 'assistant' %}\
         {% set c = m.content.split('</think>')[-1] %}{% else %}{% set c = m.content %}\
         {% endif %}<|{{ m['role'] }}|>\n{{ c | trim }}<|end|>\n\
         {% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}",
    )
    .unwrap();
    let text = template.render(&[("messages", &json!(messages))]).unwrap();
    assert!(text.len() > 10_000_000 && text.starts_with("<|user|>\nword word"));
}
