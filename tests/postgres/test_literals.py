"""The values in a statement's text are found as PostgreSQL reads them, and those that are secrets are hidden."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql

from timetracer_otel.families.postgres import literals

HUSH = "hush"


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER ROLE bob WITH LOGIN PASSWORD 'hush'",
        "CREATE USER bob ENCRYPTED PASSWORD E'hush' VALID UNTIL 'infinity'",
        "CREATE USER MAPPING FOR bob SERVER other OPTIONS (user 'bob', password 'hush')",
        "CREATE SUBSCRIPTION s CONNECTION 'host=other password=hush dbname=d' PUBLICATION p",
        "SELECT * FROM dblink('postgresql://bob:hush@other/d', 'SELECT 1')",
        "DO $$ BEGIN EXECUTE 'ALTER ROLE bob PASSWORD ''hush'''; END $$",
        "INSERT INTO buyer (name, password, age) VALUES ('ann', 'hush', 5), ('bob', E'hush', 6)",
        "INSERT INTO public.app_users VALUES (1, 'hush'), (2, E'hush')",
        "INSERT INTO accounts AS a VALUES (lower('hush'), 5) ON CONFLICT DO NOTHING",
        "UPDATE buyer SET name = 'bob', password = $tag$hush$tag$ WHERE id = 5",
        "SELECT name FROM buyer WHERE api_key = 'hush' AND name = 'it''s'",
        "SELECT crypt('hush', gen_salt('bf'))",
        "UPDATE buyer SET note = pgp_sym_encrypt('hush', 'hush') WHERE note = pgp_sym_decrypt(other, 'hush')::text",
    ],
)
def test_a_secret_is_hidden(statement: str) -> None:
    """Wherever it stands in, and however it is quoted; the rest stays as it is, and the secret can be put back."""
    hidden = literals.hidden(statement, lambda secret: f"_{secret[::-1]}_")
    assert HUSH not in hidden
    assert set(literals.secrets_in(statement)) == {HUSH}
    assert literals.hidden(hidden, lambda secret: secret[1:-1][::-1]) == statement


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 'password' AS label, 'hush' AS word",
        "SELECT name FROM buyer WHERE name = 'hush' -- password",
        "SELECT \"password\" FROM buyer WHERE name = 'hush'",
        "ALTER ROLE bob PASSWORD NULL",
    ],
)
def test_what_is_no_secret_stays(statement: str) -> None:
    """A name that speaks of one makes none of what is not given to it."""
    assert literals.hidden(statement, lambda _secret: "?") == statement


@pytest.mark.parametrize(
    ("statement", "numbers"),
    [
        ("INSERT INTO buyer (name, password) VALUES ($1, $2)", {1}),
        ("UPDATE buyer SET hash = crypt($2, gen_salt('bf')) WHERE id = $1", {1}),
        ("SELECT pgp_sym_decrypt(note, $1), hmac(name, $2, 'sha256') FROM buyer WHERE id = $3", {0, 1}),
        ("SELECT name FROM buyer WHERE id = $1", set()),
    ],
)
def test_parameters_that_are_secrets(statement: str, numbers: set[int]) -> None:
    """By the column that they are given to, or by the function that takes them."""
    assert literals.secret_parameters(statement) == numbers


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_any_text_is_read_as_it_was_written(text: str) -> None:
    """What a driver has quoted is one value, which means the text; another one can stand in its place."""
    quoted = sql.Literal(text).as_string()
    statement = f"UPDATE buyer SET password = {quoted.strip()} WHERE name = 'other'"  # noqa: S608 - sent nowhere
    (secret,) = literals.secrets_in(statement)
    assert secret == text
    assert literals.hidden(statement, lambda _secret: text) == statement
    assert literals.bare(statement).endswith("= ? WHERE name = ?")
