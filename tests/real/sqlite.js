'use strict';
// What Ghost and its query builder use of better-sqlite3, over the driver that Node itself brings.
const {DatabaseSync} = require('node:sqlite');

const PRIMARY = {1: 'SQLITE_ERROR', 5: 'SQLITE_BUSY', 6: 'SQLITE_LOCKED', 19: 'SQLITE_CONSTRAINT'};
const EXTENDED = {275: '_CHECK', 787: '_FOREIGNKEY', 1299: '_NOTNULL', 1555: '_PRIMARYKEY', 2067: '_UNIQUE'};

class SqliteError extends Error {
  constructor(message, code) {
    super(message);
    this.name = 'SqliteError';
    this.code = code;
  }
}

function guarded(action) {
  try {
    return action();
  } catch (e) {
    if (e?.errcode === undefined) throw e;
    throw new SqliteError(e.message, (PRIMARY[e.errcode & 255] ?? 'SQLITE_ERROR') + (EXTENDED[e.errcode] ?? ''));
  }
}

const bound = values => (values.length === 1 && Array.isArray(values[0]) ? values[0] : values).map(v => v ?? null);

class Statement {
  constructor(database, source) {
    this.source = source;
    this.statement = guarded(() => database.prepare(source));
    this.reader = this.statement.columns().length > 0;
  }
  all(...values) { return guarded(() => this.statement.all(...bound(values)).map(row => ({...row}))); }
  get(...values) { return this.all(...values)[0]; }
  run(...values) { return guarded(() => this.statement.run(...bound(values))); }
  iterate(...values) { return this.all(...values)[Symbol.iterator](); }
}

module.exports = class Database {
  constructor(file) {
    this.name = file;
    this.open = true;
    this.database = guarded(() => new DatabaseSync(file));
    this.database.exec('PRAGMA busy_timeout = 5000');
  }
  prepare(source) { return new Statement(this.database, source); }
  exec(source) { guarded(() => this.database.exec(source)); return this; }
  pragma(text) { return this.prepare(`PRAGMA ${text}`).all(); }
  close() {
    if (this.open) {
      this.open = false;
      this.database.close();
    }
    return this;
  }
};
module.exports.SqliteError = SqliteError;
