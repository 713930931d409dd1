-- Deliveries are leased as all other work is: by a token. A process of the version before claims without one, which ends the token of the claim
-- before, so that its holder is fenced.
ALTER TABLE webhook_deliveries ADD COLUMN lease_token TEXT;
CREATE FUNCTION graft_end_delivery_token() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.lease_token := NULL;
    RETURN NEW;
END
$$;
CREATE TRIGGER webhook_deliveries_token BEFORE UPDATE OF attempts ON webhook_deliveries FOR EACH ROW
    WHEN (NEW.attempts > OLD.attempts AND NEW.lease_token = OLD.lease_token) EXECUTE FUNCTION graft_end_delivery_token();
