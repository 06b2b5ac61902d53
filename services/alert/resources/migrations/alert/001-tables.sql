CREATE TABLE alert.sent (
  id        uuid PRIMARY KEY,
  recipient text NOT NULL,
  subject   text NOT NULL,
  sent      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX sent_newest ON alert.sent (sent DESC);
