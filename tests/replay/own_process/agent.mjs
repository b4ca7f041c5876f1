// An agent in Node that asks a shop past its model's endpoint, by each of Node's own clients:
// `node agent.mjs PORT SERVICE`
import { createServer, get, request } from 'node:http'

const [port, service] = process.argv.slice(2)
const read = async (stream) => {
  let text = ''
  for await (const piece of stream) text += piece
  return text
}
const answered = (begin) => new Promise((resolve, reject) => begin((response) => resolve(read(response))).on('error', reject))

async function answer(text) {
  const form = new URLSearchParams({ item: text })
  const found = [
    await (await fetch(`http://${service}/shop/${text.length}`)).text(),
    await (await fetch(new Request(`http://${service}/moved/${text.length}`))).text(),
    await (await fetch(`http://${service}/shop`, { method: 'POST', body: form })).text(),
    await answered((done) => get(`http://${service}/shop/1?q=a%20b`, { headers: { host: 'shop.example' } }, done)),
    await answered((done) => {
      const [hostname, number] = service.split(':')
      const asked = request({ hostname, port: number, path: '/shop', method: 'POST', headers: { 'content-type': 'text/plain' } }, done)
      asked.end(text)
      return asked
    }),
  ]
  return `You said ${text}: ${found.map((each) => JSON.parse(each).stock)}`
}

createServer(async (asked, response) => {
  try {
    const { messages } = JSON.parse(await read(asked))
    const message = { role: 'assistant', content: await answer(messages.at(-1).content) }
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ id: '1', choices: [{ index: 0, finish_reason: 'stop', message }] }))
  } catch (error) {
    response.writeHead(500).end(JSON.stringify({ error: { message: `${error} ${error.cause || ''}` } }))
  }
}).listen(Number(port), '127.0.0.1')
