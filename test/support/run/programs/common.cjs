const { default: OpenAI } = require('openai')

const client = new OpenAI({ apiKey: 'sk-test' })

if (require.main === module) {
  void client.chat.completions
    .create({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'from CommonJS' }] })
    .then(({ choices }) => {
      console.log(choices[0].message.content)
      process.exit(3)
    })
}
