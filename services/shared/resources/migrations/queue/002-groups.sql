ALTER TABLE queue.messages ADD COLUMN message_group text, ADD COLUMN sequence bigserial;
CREATE INDEX messages_group ON queue.messages (topic, message_group, sequence) WHERE failed IS NULL;
