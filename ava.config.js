export default {
  extensions: ['ts'],
  files: ['{proto,controller,replica,prisma,test,bench}/**/*.test.ts'],
  timeout: '3m',
  concurrency: 2,
};
