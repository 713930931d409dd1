-- Test events and resent deliveries of an endpoint: until when those that were asked for fill its rate. Null: there were none.
ALTER TABLE "webhook_endpoints" ADD COLUMN "sends_until" TIMESTAMPTZ(6);
