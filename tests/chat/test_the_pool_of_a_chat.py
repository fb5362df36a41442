"""`chat.pool`: the pool that pays, for whoever wants to know how its keys are doing."""

from skk.openai import AKPool, Chat


def test_the_pool_is_the_one_that_was_given():
    """The very object, in a fork too; none where a single key, a callable or nobody yet pays."""
    pool = AKPool(["sk-first", "sk-second"])
    chat = Chat(pool)
    assert (pool, pool) == (chat.pool, chat.fork().pool)
    assert [None, None, None] == [Chat("sk-first").pool, Chat(lambda: "sk-first").pool, Chat().pool]


def test_the_pool_changes_with_the_key():
    """From one key to many and back."""
    chat, pool = Chat("sk-first"), AKPool(["sk-second"])
    chat.reset_api_key(pool)
    assert pool is chat.pool
    chat.reset_api_key("sk-first")
    assert chat.pool is None
