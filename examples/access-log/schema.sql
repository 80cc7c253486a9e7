-- Where examples/access-log puts its lines. `line` is the number that the demo's generator gives each line.
create table access_log (
    line       bigint,
    time       timestamptz,
    clientip   inet,
    verb       text,
    request    text,
    status     integer,
    bytes      bigint,
    agent      text
);

create table app_log (
    line        bigint,
    time        timestamptz,
    level       text,
    service     text,
    duration_ms integer,
    message     text
);
