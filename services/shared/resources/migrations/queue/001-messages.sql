CREATE TABLE queue.messages (
  id       uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  topic    text NOT NULL,
  body     text NOT NULL,
  attempts integer NOT NULL DEFAULT 0,
  due      timestamptz NOT NULL DEFAULT now(),
  failed   timestamptz,
  why      text,
  created  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX messages_due ON queue.messages (topic, due) WHERE failed IS NULL;
