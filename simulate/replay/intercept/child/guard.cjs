// Loaded by Node processes that are replayed: they reach nothing but what the replay allows.
'use strict'
const fs = require('fs')
const net = require('net')

const allowed = new Set((process.env.SIMULATE_REPLAY_ALLOW || '').split(',').filter(Boolean))
const here = new Set(['localhost', '127.0.0.1', '::1'])
const connect = net.Socket.prototype.connect

net.Socket.prototype.connect = function (...args) {
  // net.connect hands over its arguments in one list, already in order
  const [first, second] = Array.isArray(args[0]) ? args[0] : args
  const options = first !== null && typeof first === 'object' ? first : { port: first, host: second }
  if (options.path !== undefined || typeof options.port === 'string' && isNaN(options.port)) {
    return connect.apply(this, args) // a socket of this machine's own
  }
  const host = typeof options.host === 'string' ? options.host : 'localhost'
  if (allowed.has(`${here.has(host) ? '127.0.0.1' : host}:${options.port}`)) return connect.apply(this, args)
  const what = `connection to ${host}:${options.port}`
  const log = process.env.SIMULATE_REPLAY_LOG
  if (log) fs.appendFileSync(log, `${what} in a process of the agent's (node ${process.argv[1] || ''})\n`)
  const error = Object.assign(new Error(`refused during replay: ${what}`), { code: 'ECONNREFUSED' })
  process.nextTick(() => this.destroy(error))
  return this
}
