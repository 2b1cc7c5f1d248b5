/// One step of the schema. Steps are only ever added: a database in the field has run them. The gateway reads the same tables and
/// refuses steps that it does not know: a new one also goes into `WORKER_STEPS` of `Gateway/thermograph_gateway/database.py`.
struct Migration {
  let number: Int64
  let name: String
  let script: String
}

extension Migration {
  static let all = [
    Migration(number: 1, name: "captures", script: captures),
    Migration(number: 2, name: "messages and devices", script: messages),
    Migration(number: 3, name: "downlink", script: downlink),
    Migration(number: 4, name: "views that stay", script: views),
    Migration(number: 5, name: "metadata and parts", script: metadataAndParts),
    Migration(number: 6, name: "audit heads", script: auditHeads),
  ]

  /// `sealed` is always `nonce | ciphertext | tag` (AES-256-GCM) under the site's data key `key_id`; `sha256` is that of
  /// the plain content. `images` of a capture lists what its record promises, a line each: name, SHA-256, bytes.
  /// An image's SHA-256 is part of its key: an image with another content under the same name replaces nothing.
  private static let captures = """
    CREATE TABLE site_key (
      site text COLLATE "C" NOT NULL, key_id bigint NOT NULL, master_id bigint NOT NULL, wrapped bytea NOT NULL,
      made_at timestamptz NOT NULL DEFAULT clock_timestamp(), PRIMARY KEY (site, key_id));
    CREATE TABLE capture (
      site text COLLATE "C" NOT NULL, device text COLLATE "C" NOT NULL, outbox_id uuid NOT NULL,
      sequence bigint NOT NULL CHECK (sequence > 0), capture_id uuid NOT NULL, schema text NOT NULL, patient_ref text,
      session_id uuid, view text, captured_at timestamptz, images text NOT NULL, sha256 bytea NOT NULL,
      key_id bigint NOT NULL, sealed bytea NOT NULL, received_at timestamptz NOT NULL DEFAULT now(),
      complete_at timestamptz,
      PRIMARY KEY (site, device, capture_id), UNIQUE (site, device, outbox_id, sequence)
    ) PARTITION BY HASH (site, device);
    CREATE TABLE image (
      site text COLLATE "C" NOT NULL, device text COLLATE "C" NOT NULL, capture_id uuid NOT NULL,
      name text COLLATE "C" NOT NULL, sha256 bytea NOT NULL, bytes bigint NOT NULL, key_id bigint NOT NULL, sealed bytea,
      received_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (site, device, capture_id, name, sha256)
    ) PARTITION BY HASH (site, device);
    CREATE TABLE image_part (
      site text COLLATE "C" NOT NULL, device text COLLATE "C" NOT NULL, capture_id uuid NOT NULL,
      name text COLLATE "C" NOT NULL, parts bigint NOT NULL, part bigint NOT NULL, bytes bigint NOT NULL,
      key_id bigint NOT NULL, sealed bytea NOT NULL, received_at timestamptz NOT NULL DEFAULT now(),
      CHECK (part BETWEEN 1 AND parts), PRIMARY KEY (site, device, capture_id, name, parts, part)
    ) PARTITION BY HASH (site, device);
    CREATE TABLE set_aside (
      site text COLLATE "C" NOT NULL, device text COLLATE "C" NOT NULL, capture_id uuid, name text NOT NULL,
      reason text NOT NULL CHECK (reason IN ('number-taken', 'content-differs', 'unknown-image', 'unknown-schema')),
      schema text, sha256 bytea NOT NULL, bytes bigint NOT NULL, key_id bigint NOT NULL, sealed bytea NOT NULL,
      received_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (site, device, sha256, reason));
    DO $$ BEGIN
      FOR part IN 0..15 LOOP
        EXECUTE format('CREATE TABLE capture_%s PARTITION OF capture FOR VALUES WITH (MODULUS 16, REMAINDER %s)', part, part);
        EXECUTE format('CREATE TABLE image_%s PARTITION OF image FOR VALUES WITH (MODULUS 16, REMAINDER %s)', part, part);
        EXECUTE format('CREATE TABLE image_part_%s PARTITION OF image_part FOR VALUES WITH (MODULUS 16, REMAINDER %s)',
          part, part);
        -- Sealed bytes do not compress; trying costs time.
        EXECUTE format('ALTER TABLE capture_%s ALTER COLUMN sealed SET STORAGE EXTERNAL', part);
        EXECUTE format('ALTER TABLE image_%s ALTER COLUMN sealed SET STORAGE EXTERNAL', part);
        EXECUTE format('ALTER TABLE image_part_%s ALTER COLUMN sealed SET STORAGE EXTERNAL', part);
      END LOOP;
    END $$;
    CREATE INDEX capture_patient ON capture (site, patient_ref, captured_at);
    CREATE INDEX capture_incomplete ON capture (site, device, capture_id) WHERE complete_at IS NULL;
    """

  /// `message` keeps alerts, events (gap records among them), corrections and replies; `device` the newest of the rest.
  private static let messages = """
    CREATE TABLE message (
      site text COLLATE "C" NOT NULL, device text COLLATE "C" NOT NULL,
      kind text NOT NULL CHECK (kind IN ('alert', 'event', 'reply')), identity text NOT NULL, sha256 bytea NOT NULL,
      schema text, code text, severity text, key_id bigint NOT NULL, sealed bytea NOT NULL,
      received_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (site, device, kind, identity, sha256)
    ) PARTITION BY HASH (site, device);
    DO $$ BEGIN
      FOR part IN 0..15 LOOP
        EXECUTE format('CREATE TABLE message_%s PARTITION OF message FOR VALUES WITH (MODULUS 16, REMAINDER %s)', part, part);
      END LOOP;
    END $$;
    CREATE INDEX message_alert ON message (received_at) WHERE kind = 'alert';
    CREATE TABLE device (
      site text COLLATE "C" NOT NULL, device text COLLATE "C" NOT NULL, seen_at timestamptz NOT NULL DEFAULT now(),
      state text, outbox_id uuid, connect_counter bigint, firmware text, status bytea, status_at timestamptz,
      waiting bigint, oldest_seconds bigint, quarantined bigint, certificate_days bigint, health bytea,
      health_at timestamptz, PRIMARY KEY (site, device)) WITH (fillfactor = 70);
    """

  /// Finished envelopes on their way to devices. Whoever writes a row signs nothing here and needs no broker.
  private static let downlink = """
    CREATE TABLE downlink (
      id text PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 100), site text COLLATE "C" NOT NULL,
      device text COLLATE "C" NOT NULL, topic text NOT NULL CHECK (topic IN ('command', 'result', 'config', 'model')),
      envelope bytea NOT NULL CHECK (length(envelope) BETWEEN 1 AND 65536),
      state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'published', 'answered', 'expired')),
      made_at timestamptz NOT NULL DEFAULT now(), not_after timestamptz NOT NULL, publishes bigint NOT NULL DEFAULT 0,
      published_at timestamptz, answered_at timestamptz);
    CREATE INDEX downlink_open ON downlink (site, device, made_at) WHERE state IN ('waiting', 'published');
    """

  /// Where each record's device had its audit log, and what was ever found to contradict; see `Docs/audit.md`.
  private static let auditHeads = """
    CREATE TABLE audit_head (
      site text COLLATE "C" NOT NULL, device text COLLATE "C" NOT NULL, outbox_id uuid NOT NULL,
      sequence bigint NOT NULL CHECK (sequence > 0), size bigint NOT NULL CHECK (size >= 0),
      head bytea NOT NULL CHECK (length(head) = 32), seen_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (site, device, outbox_id, sequence, size, head));
    CREATE TABLE audit_alarm (
      site text COLLATE "C" NOT NULL, device text COLLATE "C" NOT NULL, outbox_id uuid NOT NULL,
      code text NOT NULL CHECK (code IN ('audit-fork', 'audit-shrunk', 'audit-cloned')),
      found_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (site, device, outbox_id, code));
    """

  /// `stays` marks a view that this program does not make again byte for byte: a device of another version drew it.
  private static let views = """
    ALTER TABLE image ADD COLUMN stays boolean NOT NULL DEFAULT false;
    CREATE INDEX image_view_age ON image (received_at) WHERE name = 'view.png' AND sealed IS NOT NULL AND NOT stays;
    """

  /// Metadata for `dn/trust`, and the parts of a model's file, each with a topic of its own.
  private static let metadataAndParts = """
    ALTER TABLE downlink DROP CONSTRAINT downlink_topic_check;
    ALTER TABLE downlink ADD CONSTRAINT downlink_topic_check CHECK (
      topic IN ('command', 'result', 'config', 'trust')
      OR topic ~ '^model/[0-9a-f]{64}/[1-9][0-9]{0,4}-of-[1-9][0-9]{0,4}$');
    """
}
