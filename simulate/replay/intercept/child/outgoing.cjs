// Loaded by Node processes of an agent that is recorded or replayed: what they ask by HTTP goes by way of us,
// where it is recorded and passed on, or answered. Telemetry is not.
'use strict'
const http = require('http')
const https = require('https')
const { syncBuiltinESMExports } = require('module')
const { urlToHttpOptions } = require('url')

const endpoint = process.env.SIMULATE_REPLAY_OUTGOING
const replaying = process.env.SIMULATE_REPLAY_ALLOW !== undefined
const past = new Set((process.env.SIMULATE_REPLAY_PAST || '').split(',').filter(Boolean))
const here = new Set(['localhost', '127.0.0.1', '[::1]', '::1'])
const exporters = /@opentelemetry[\\/](otlp-)?exporter|@sentry[\\/]|[\\/]posthog-node[\\/]|[\\/]dd-trace[\\/]/
const sdks = /[\\/](langsmith|langfuse[\w-]*|@langfuse)[\\/]/
const ingests = /\/runs(\/batch|\/multipart)?$|\/api\/public\/(otel|ingestion)/

function goesOut(url) {
  const port = url.port || (url.protocol === 'https:' ? '443' : '80')
  return /^https?:$/.test(url.protocol) && !past.has(`${here.has(url.hostname) ? '127.0.0.1' : url.hostname}:${port}`)
}

// 'recorded', 'sent' as it is, or 'swallowed': by whose code sends it, never by where it goes
function treatment(url) {
  if (!goesOut(url)) return 'sent'
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 60
  const stack = new Error().stack || ''
  Error.stackTraceLimit = limit
  const telemetry = exporters.test(stack) || (sdks.test(stack) && ingests.test(url.pathname))
  return telemetry ? (replaying ? 'swallowed' : 'sent') : 'recorded'
}

function ours(url, how) {
  return how === 'swallowed' ? { 'x-simulate-telemetry': '1' } : { 'x-simulate-url': url.href }
}

function requesting(real, scheme) {
  return function request(...args) {
    let [input, options, callback] = args
    if (typeof input === 'string' || input instanceof URL) {
      if (typeof options === 'function') [options, callback] = [{}, options]
      options = { ...urlToHttpOptions(new URL(input)), ...options }
    } else {
      [options, callback] = [{ ...input }, options]
    }
    let headers = options.headers || {}
    if (Array.isArray(headers)) headers = Object.fromEntries(headers.flatMap((_, n) => (n % 2 ? [] : [headers.slice(n, n + 2)])))
    const names = Object.keys(headers)
    if (options.socketPath || names.some((name) => name.toLowerCase() === 'upgrade')) return real(...args)
    const host = String(options.hostname || options.host || 'localhost').replace(/:\d+$/, (port) => (options.port ? '' : port))
    const bare = host.includes(':') && !host.startsWith('[') && /:.*:/.test(host) ? `[${host}]` : host
    const port = options.port || options.defaultPort
    let url
    try {
      url = new URL(`${options.protocol || scheme}//${bare}${port ? `:${port}` : ''}${options.path || '/'}`)
    } catch {
      return real(...args) // Node says what is wrong
    }
    const how = treatment(url)
    if (how === 'sent') return real(...args)
    const kept = Object.fromEntries(Object.entries(headers).filter(([name]) => name.toLowerCase() !== 'host'))
    const { method, auth, signal, timeout } = options
    const asked = { method, auth, timeout, headers: { ...kept, ...ours(url, how) } }
    return realRequest(endpoint, signal ? { ...asked, signal } : asked, callback)
  }
}

const realRequest = http.request
for (const [module, scheme] of [[http, 'http:'], [https, 'https:']]) {
  module.request = requesting(module.request, scheme)
  module.get = (...args) => {
    const request = module.request(...args)
    request.end()
    return request
  }
}
syncBuiltinESMExports()

const realFetch = globalThis.fetch
if (realFetch) {
  globalThis.fetch = async function fetch(input, init) {
    let url
    try {
      url = new URL(input instanceof Request ? input.url : input)
    } catch {
      return realFetch(input, init) // Node says what is wrong
    }
    const how = treatment(url)
    if (how === 'sent') return realFetch(input, init) // a Request made of another one would take its body
    return follow(new Request(input, init), url, how, 20)
  }
}

async function follow(request, url, how, left) {
  const headers = new Headers(request.headers)
  for (const [name, value] of Object.entries(ours(url, how))) headers.set(name, value)
  const { method, body, signal, redirect } = request
  const response = await realFetch(endpoint, { method, body, duplex: 'half', signal, headers, redirect: 'manual' })
  const location = response.headers.get('location')
  if (response.status >= 300 && response.status < 400 && location && redirect !== 'manual') {
    if (redirect === 'error' || !left) throw new TypeError('fetch failed', { cause: new Error('unexpected redirect') })
    const next = new URL(location, url)
    const asGet = response.status === 303 || (response.status < 303 && method === 'POST')
    if (!asGet && body) throw new TypeError('fetch failed', { cause: new Error('a body that was sent cannot be sent again') })
    return follow(new Request(next, { method: asGet ? 'GET' : method, headers: request.headers, signal }), next, how, left - 1)
  }
  Object.defineProperty(response, 'url', { value: url.href })
  return response
}
