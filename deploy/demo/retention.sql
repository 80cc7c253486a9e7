-- Keeps the demo's tables to a day, by the time of the lines: what is older goes when new lines come.
create index on access_log using brin (time);
create index on app_log using brin (time);

create function delete_old_lines() returns trigger language plpgsql as $$
begin
    execute format('delete from %I where time < now() - interval ''1 day''', tg_table_name);
    return null;
end $$;

create trigger retention after insert on access_log for each statement execute function delete_old_lines();
create trigger retention after insert on app_log for each statement execute function delete_old_lines();
